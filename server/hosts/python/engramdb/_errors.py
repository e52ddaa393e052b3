# SPDX-License-Identifier: Apache-2.0
"""What goes wrong, by name. The text is the engine's sentence: what was wrong, and what was expected."""


class Error(Exception):
    """The base of all others."""


class InvalidArgument(Error, ValueError):
    """The caller's input is wrong."""


class NotFound(Error, LookupError):
    """There is no such collection, or no such key."""


class AlreadyExists(Error):
    """The name is taken, or what was asked for is being done already."""


class WrongType(Error, TypeError):
    """The name holds a string, which a server's clients may have put there."""


class Unsupported(Error):
    """The primitive cannot do it, or the store is closed."""


class ResourceExhausted(Error):
    """Memory, slots, threads or descriptors ran out; nothing was changed."""


class DataLoss(Error):
    """Stored bytes are damaged."""


class ReadOnly(Error):
    """Nothing can be kept now, because the disk is full or refuses: what is there can be read."""


class StorageError(Error):
    """The operating system refused a file."""


class Disconnected(Error, ConnectionError):
    """The server cannot be reached, or did not let us in."""
