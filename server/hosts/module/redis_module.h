// SPDX-License-Identifier: Apache-2.0
// What the module asks of the server that has loaded it, as the modules API of Redis 7.0 documents
// it. Valkey answers to the same names. Nothing is linked: load_api() asks for each function by its
// name.
#pragma once

#include <cstddef>
#include <cstdint>

namespace engram::host {

// Of the server, by pointer only.
struct Context;
struct Key;
struct String;
struct Io;
struct Digest;
struct Type;
struct BlockedClient;
struct InfoContext;
struct Command;
struct User;

inline constexpr int kOk = 0;
inline constexpr int kError = 1;
inline constexpr int kApiVersion = 1;

inline constexpr int kRead = 1 << 0;  ///< how a key is opened
inline constexpr int kWrite = 1 << 1;

inline constexpr int kEmptyKey = 0;  ///< what a key holds
inline constexpr int kModuleKey = 6;

inline constexpr int kHandlesIoErrors = 1 << 0;  ///< of the module
inline constexpr int kSignalsByItself = 1 << 1;

namespace context_flag {
inline constexpr int kLua = 1 << 0;
inline constexpr int kMulti = 1 << 1;
inline constexpr int kReplica = 1 << 3;
inline constexpr int kReadonly = 1 << 4;
inline constexpr int kReplicated = 1 << 12;  ///< the command came from the master
inline constexpr int kLoading = 1 << 13;
inline constexpr int kDenyBlocking = 1 << 21;
inline constexpr int kResp3 = 1 << 22;
}  // namespace context_flag

namespace key_flag {
inline constexpr std::uint64_t kReadOnly = 1U << 0;
inline constexpr std::uint64_t kReadWrite = 1U << 1;
inline constexpr std::uint64_t kAccess = 1U << 4;
inline constexpr std::uint64_t kUpdate = 1U << 5;
}  // namespace key_flag

inline constexpr int kModuleEvent = 1 << 13;  ///< a class of keyspace notifications
inline constexpr int kReadable = 1;           ///< of a descriptor
inline constexpr unsigned kImmutable = 1;     ///< of a setting

using CommandHandler = int (*)(Context*, String** argv, int argc);

/// Version 3 of what a type does with its values.
struct TypeMethods {
  std::uint64_t version = 3;
  void* (*load)(Io*, int encoding) = nullptr;
  void (*save)(Io*, void* value) = nullptr;
  void (*rewrite)(Io*, String* key, void* value) = nullptr;
  std::size_t (*memory)(const void* value) = nullptr;
  void (*digest)(Digest*, void* value) = nullptr;
  void (*free)(void* value) = nullptr;
  int (*load_aux)(Io*, int encoding, int when) = nullptr;
  void (*save_aux)(Io*, int when) = nullptr;
  int save_aux_triggers = 0;
  std::size_t (*free_effort)(String* key, const void* value) = nullptr;
  void (*unlink)(String* key, const void* value) = nullptr;
  void* (*copy)(String* from, String* to, const void* value) = nullptr;
  int (*defrag)(void*, String* key, void** value) = nullptr;
};

/// Where a command has keys.
struct KeySpec {
  const char* notes = nullptr;
  std::uint64_t flags = 0;
  int begin = 0;  ///< kAtIndex, kAfterWord
  union {
    int index;
    struct {
      const char* word;
      int from;
    } keyword;
  } where = {};
  int find = 0;  ///< kRange
  union {
    struct {
      int last, step, limit;
    } range;
    int number[3];
  } keys = {};

  static constexpr int kAtIndex = 2;
  static constexpr int kAfterWord = 3;
  static constexpr int kRange = 2;
};

/// Sizes by which the server walks over arrays of ours.
struct CommandInfoVersion {
  int version = 1;
  std::size_t history_entry = 2 * sizeof(void*);
  std::size_t key_spec = sizeof(KeySpec);
  std::size_t argument = 9 * sizeof(void*);
};

struct CommandInfo {
  const CommandInfoVersion* version = nullptr;
  const char* summary = nullptr;
  const char* complexity = nullptr;
  const char* since = nullptr;
  void* history = nullptr;
  const char* tips = nullptr;
  int arity = 0;
  KeySpec* key_specs = nullptr;
  void* arguments = nullptr;
};

using EventHandler = void (*)(int fd, void* data, int mask);
using GetNumber = long long (*)(const char* name, void* data);
using SetNumber = int (*)(const char* name, long long value, void* data, String** error);

// clang-format off: it takes a parameter for a product.
/// Name, result, parameters of every function that is asked for. The second list may be missing.
#define ENGRAM_MODULE_API(F)                                                                     \
  F(SetModuleAttribs, void, (Context*, const char* name, int version, int api_version))          \
  F(SetModuleOptions, void, (Context*, int options))                                             \
  F(IsModuleNameBusy, int, (const char* name))                                                   \
  F(CreateCommand, int,                                                                          \
    (Context*, const char* name, CommandHandler, const char* flags, int first, int last,         \
     int step))                                                                                  \
  F(GetCommand, Command*, (Context*, const char* name))                                          \
  F(SetCommandInfo, int, (Command*, const CommandInfo*))                                         \
  F(CreateDataType, Type*, (Context*, const char* name, int encoding, TypeMethods*))             \
  F(Log, void, (Context*, const char* level, const char* format, ...))                           \
  F(GetContextFlags, int, (Context*))                                                            \
  F(GetSelectedDb, int, (Context*))                                                              \
  F(GetCurrentUserName, String*, (Context*))                                                     \
  F(GetClientId, unsigned long long, (Context*))                                                 \
  F(GetClientUserNameById, String*, (Context*, std::uint64_t id))                                \
  F(GetModuleUserFromUserName, User*, (String * name))                                           \
  F(ACLCheckKeyPermissions, int, (User*, String * key, int flags))                               \
  F(FreeModuleUser, int, (User*))                                                                \
  F(FreeString, void, (Context*, String*))                                                       \
  F(OpenKey, Key*, (Context*, String * name, int mode))                                          \
  F(CloseKey, void, (Key*))                                                                      \
  F(DeleteKey, int, (Key*))                                                                      \
  F(KeyType, int, (Key*))                                                                        \
  F(ModuleTypeGetType, Type*, (Key*))                                                            \
  F(ModuleTypeGetValue, void*, (Key*))                                                           \
  F(ModuleTypeSetValue, int, (Key*, Type*, void* value))                                         \
  F(SignalModifiedKey, int, (Context*, String * name))                                           \
  F(NotifyKeyspaceEvent, int, (Context*, int classes, const char* event, String* name))          \
  F(StringPtrLen, const char*, (const String*, std::size_t* length))                             \
  F(ReplyWithError, int, (Context*, const char* line))                                           \
  F(ReplyWithSimpleString, int, (Context*, const char* text))                                    \
  F(ReplyWithStringBuffer, int, (Context*, const char* bytes, std::size_t length))               \
  F(ReplyWithVerbatimString, int, (Context*, const char* text, std::size_t length))              \
  F(ReplyWithLongLong, int, (Context*, long long number))                                        \
  F(ReplyWithDouble, int, (Context*, double number))                                             \
  F(ReplyWithBool, int, (Context*, int value))                                                   \
  F(ReplyWithNull, int, (Context*))                                                              \
  F(ReplyWithNullArray, int, (Context*))                                                         \
  F(ReplyWithArray, int, (Context*, long elements))                                              \
  F(ReplyWithMap, int, (Context*, long pairs))                                                   \
  F(ReplyWithSet, int, (Context*, long elements))                                                \
  F(Replicate, int, (Context*, const char* command, const char* format, ...))                    \
  F(ReplicateVerbatim, int, (Context*))                                                          \
  F(BlockClient, BlockedClient*,                                                                 \
    (Context*, CommandHandler reply, CommandHandler timeout, void (*free)(Context*, void*),      \
     long long timeout_ms))                                                                      \
  F(UnblockClient, int, (BlockedClient*, void* data))                                            \
  F(GetBlockedClientPrivateData, void*, (Context*))                                              \
  F(EventLoopAdd, int, (int fd, int mask, EventHandler, void* data))                             \
  F(SaveUnsigned, void, (Io*, std::uint64_t))                                                    \
  F(LoadUnsigned, std::uint64_t, (Io*))                                                          \
  F(SaveStringBuffer, void, (Io*, const char* bytes, std::size_t length))                        \
  F(LoadStringBuffer, char*, (Io*, std::size_t * length))                                        \
  F(IsIOError, int, (Io*))                                                                       \
  F(EmitAOF, void, (Io*, const char* command, const char* format, ...))                          \
  F(DigestAddStringBuffer, void, (Digest*, const char* bytes, std::size_t length))               \
  F(DigestEndSequence, void, (Digest*))                                                          \
  F(Alloc, void*, (std::size_t))                                                                 \
  F(Free, void, (void*))                                                                         \
  F(RegisterInfoFunc, int, (Context*, void (*)(InfoContext*, int for_crash)))                    \
  F(InfoAddSection, int, (InfoContext*, const char* name))                                       \
  F(InfoAddFieldULongLong, int, (InfoContext*, const char* name, unsigned long long))            \
  F(RegisterNumericConfig, int,                                                                  \
    (Context*, const char* name, long long preset, unsigned flags, long long least,              \
     long long most, GetNumber, SetNumber, int (*apply)(Context*, void*, String**), void* data)) \
  F(LoadConfigs, int, (Context*))

#define ENGRAM_OPTIONAL_MODULE_API(F) \
  F(TryAlloc, void*, (std::size_t))   \
  F(SetCommandACLCategories, int, (Command*, const char* categories))

// clang-format on

/// The functions of the server. Threads: as the server documents each; Alloc, Free, Log and
/// UnblockClient are for any.
struct Api {
#define ENGRAM_DECLARE(name, result, parameters) result(*name) parameters = nullptr;
  ENGRAM_MODULE_API(ENGRAM_DECLARE)
  ENGRAM_OPTIONAL_MODULE_API(ENGRAM_DECLARE)
#undef ENGRAM_DECLARE
};
extern Api api;

/// Fills `api`; the name of the first function that this server does not have, or null.
const char* load_api(Context* context);

}  // namespace engram::host
