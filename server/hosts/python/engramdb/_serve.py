# SPDX-License-Identifier: Apache-2.0
"""A server in this process."""

from __future__ import annotations

import atexit
import os
import signal
import threading
import weakref
from typing import Any, Literal, Optional, Union, overload

from ._closing import Closing
from ._engine import EngineServer
from ._results import Path
from ._words import text_of


class Server(Closing):
    """One that runs in a thread of its own, until close() or the end of the program. ``connect(port=server.port)``."""

    def __init__(self, engine: EngineServer) -> None:
        self._engine = engine
        self._failure: Optional[BaseException] = None
        # A join() that an interrupt ends takes the thread for ended (bpo-45274).
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="engramdb-serve", daemon=True).start()
        _running.add(self)

    def _run(self) -> None:
        try:
            self._engine.run()
        except BaseException as error:
            self._failure = error
        self._ended.set()

    @property
    def port(self) -> int:
        return self._engine.port

    def wait(self) -> None:
        """Returns when the server has ended. Raises StorageError if what was changed last may not be on disk."""
        self._ended.wait()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Ends the server, and waits for that. Raises as wait(); a second close() does nothing."""
        self._engine.end()
        self.wait()


_running: weakref.WeakSet[Server] = weakref.WeakSet()


@atexit.register
def end_servers() -> None:
    for server in list(_running):
        server.close()


@overload
def serve(
    port: int = ..., directory: Optional[Path] = ..., *, background: Literal[True], **settings: Any
) -> Server: ...
@overload
def serve(
    port: int = ..., directory: Optional[Path] = ..., *, background: Literal[False] = ..., **settings: Any
) -> None: ...
def serve(
    port: int = 6380, directory: Optional[Path] = None, *, background: bool = False, **settings: Any
) -> Union[None, Server]:
    """Serves every Redis client, as ``engram serve`` does, with the primitives of this process beside the engine's.

    port: 0 for one that the system chooses. directory: of journal and snapshots, which is made; None keeps all in memory.
    settings: of the configuration file, with '_' for '-' (``http_port=3000``, ``requirepass="secret"``).

    Returns after SIGTERM or when the program is interrupted (Ctrl-C). background: returns a Server at once instead.
    Raises InvalidArgument, StorageError, AlreadyExists.
    """
    if directory is not None:
        os.makedirs(directory, exist_ok=True)
        settings["dir"] = os.fspath(directory)
    words = {"loglevel": "warning", **settings, "port": port}
    server = Server(EngineServer([(name.replace("_", "-"), text_of(value)) for name, value in words.items()]))
    if background:
        return server
    is_main = threading.current_thread() is threading.main_thread()
    former = signal.signal(signal.SIGTERM, lambda number, frame: server._engine.end()) if is_main else None
    try:
        server.wait()
    except KeyboardInterrupt:
        server.close()
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, former)
    return None
