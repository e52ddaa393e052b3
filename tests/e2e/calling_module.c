// SPDX-License-Identifier: Apache-2.0
// A module whose command CALLING.CALL has the server do another command, in the name of no user.
#include <stddef.h>

typedef struct Context Context;
typedef struct String String;
typedef struct Reply Reply;
typedef int (*Handler)(Context*, String** argv, int argc);

enum { kOk = 0, kError = 1 };

static Reply* (*call)(Context*, const char* command, const char* format, ...);
static const char* (*string_bytes)(const String*, size_t* length);
static int (*reply_with)(Context*, Reply*);
static int (*reply_with_error)(Context*, const char* line);

static int call_command(Context* context, String** argv, int argc) {
  if (argc < 2) return reply_with_error(context, "ERR which command?");
  Reply* const reply = call(context, string_bytes(argv[1], NULL), "v", argv + 2, (size_t)argc - 2);
  if (reply == NULL) return reply_with_error(context, "ERR the server does not call that");
  return reply_with(context, reply);
}

__attribute__((visibility("default"))) int RedisModule_OnLoad(Context* context) {
  int (*const find)(const char* name, void* function) = *(int (**)(const char*, void*))context;
  void (*set_attributes)(Context*, const char* name, int version, int api_version);
  int (*create)(Context*, const char* name, Handler, const char* flags, int first, int last,
                int step);
  if (find("RedisModule_SetModuleAttribs", &set_attributes) != kOk ||
      find("RedisModule_CreateCommand", &create) != kOk || find("RedisModule_Call", &call) != kOk ||
      find("RedisModule_StringPtrLen", &string_bytes) != kOk ||
      find("RedisModule_ReplyWithCallReply", &reply_with) != kOk ||
      find("RedisModule_ReplyWithError", &reply_with_error) != kOk) {
    return kError;
  }
  set_attributes(context, "calling", 1, 1);
  return create(context, "calling.call", call_command, "write", 0, 0, 0);
}
