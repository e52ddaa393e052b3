// SPDX-License-Identifier: Apache-2.0
// A client as C programs write them with hiredis: hiredis_client PORT. Exits with 0 if every reply
// is as Redis's own documentation lets a program expect.
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)                                                    \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                \
    }                                                                         \
  } while (0)

static redisReply* require_type(redisReply* reply, int type) {
  REQUIRE(reply != NULL);
  if (reply->type != type) {
    fprintf(stderr, "type %d where %d was expected: %s\n", reply->type, type,
            reply->str != NULL ? reply->str : "");
    exit(1);
  }
  return reply;
}

static void keys_and_values(redisContext* context) {
  redisReply* reply = require_type(redisCommand(context, "PING"), REDIS_REPLY_STATUS);
  REQUIRE(strcmp(reply->str, "PONG") == 0);
  freeReplyObject(reply);

  const char value[] = {'a', 0, '\r', '\n', 'b'};
  freeReplyObject(
      require_type(redisCommand(context, "SET key %b", value, sizeof value), REDIS_REPLY_STATUS));
  reply = require_type(redisCommand(context, "GET key"), REDIS_REPLY_STRING);
  REQUIRE(reply->len == sizeof value && memcmp(reply->str, value, sizeof value) == 0);
  freeReplyObject(reply);
  freeReplyObject(require_type(redisCommand(context, "GET missing"), REDIS_REPLY_NIL));
  freeReplyObject(require_type(redisCommand(context, "INCR key"), REDIS_REPLY_ERROR));
}

static void pipelined(redisContext* context) {
  enum { kCommands = 1000 };
  for (int i = 0; i < kCommands; ++i) {
    REQUIRE(redisAppendCommand(context, "INCR counter") == REDIS_OK);
  }
  for (int i = 0; i < kCommands; ++i) {
    redisReply* reply = NULL;
    REQUIRE(redisGetReply(context, (void**)&reply) == REDIS_OK);
    REQUIRE(require_type(reply, REDIS_REPLY_INTEGER)->integer == i + 1);
    freeReplyObject(reply);
  }
}

static void add(redisContext* context, const char* key, const float vector[3]) {
  const char* words[] = {"VADD", "index", key, (const char*)vector};
  const size_t sizes[] = {4, 5, strlen(key), 3 * sizeof(float)};
  redisReply* reply = require_type(redisCommandArgv(context, 4, words, sizes), REDIS_REPLY_INTEGER);
  REQUIRE(reply->integer == 1);
  freeReplyObject(reply);
}

static void vectors(redisContext* context) {
  const float east[3] = {1, 0, 0};
  const float north[3] = {0, 1, 0};
  freeReplyObject(
      require_type(redisCommand(context, "VNEW index 3 PRIMITIVE flat"), REDIS_REPLY_STATUS));
  add(context, "east", east);
  add(context, "north", north);

  redisReply* reply = require_type(redisCommand(context, "VSEARCH index %b 2", east, sizeof east),
                                   REDIS_REPLY_ARRAY);
  REQUIRE(reply->elements == 4);
  REQUIRE(strcmp(reply->element[0]->str, "east") == 0);
  REQUIRE(strcmp(reply->element[1]->str, "0") == 0);
  REQUIRE(strcmp(reply->element[2]->str, "north") == 0);
  REQUIRE(strcmp(reply->element[3]->str, "1") == 0);
  freeReplyObject(reply);

  reply = require_type(redisCommand(context, "VGET index north"), REDIS_REPLY_STRING);
  REQUIRE(reply->len == sizeof north && memcmp(reply->str, north, sizeof north) == 0);
  freeReplyObject(reply);
}

int main(int argc, char** argv) {
  REQUIRE(argc == 2);
  redisContext* context = redisConnect("127.0.0.1", atoi(argv[1]));
  REQUIRE(context != NULL && context->err == 0);
  keys_and_values(context);
  pipelined(context);
  vectors(context);
  redisFree(context);
  return 0;
}
