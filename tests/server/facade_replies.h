// SPDX-License-Identifier: Apache-2.0
// What an EmbeddedStore answers, as RESP says it.
#pragma once

#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/hosts/embedded/embedded_store.h"
#include "server/resp/reply_writer.h"

namespace engram::test::rendering {

using Vector = std::vector<float>;

inline std::string bytes_of(const Vector& vector) {
  std::string bytes(vector.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), vector.data(), bytes.size());
  return bytes;
}

template <class Render>
std::string rendered(Render render) {
  std::string bytes;
  ReplyWriter writer(bytes, RespVersion::kResp2);
  render(writer);
  return bytes;
}

inline void write(ReplyWriter& writer, const std::vector<EmbeddedStore::Match>& matches) {
  writer.array(2 * matches.size());
  for (const auto& match : matches) {
    writer.bulk(match.key);
    writer.number(match.distance);
  }
}

inline void write(ReplyWriter& writer,
                  const std::vector<std::vector<EmbeddedStore::Match>>& answers) {
  writer.array(answers.size());
  for (const auto& matches : answers) write(writer, matches);
}

inline void write(ReplyWriter& writer, std::size_t count) {
  writer.integer(static_cast<std::int64_t>(count));
}

inline void write(ReplyWriter& writer, bool value) {
  writer.integer(value ? 1 : 0);
}

inline void write(ReplyWriter& writer, double value) {
  writer.number(value);
}

inline void write(ReplyWriter& writer, const std::optional<Vector>& vector) {
  vector ? writer.bulk(bytes_of(*vector)) : writer.null();
}

/// Of a put with a condition: what was near; or it was stored, under a key that is new here.
inline void write(ReplyWriter& writer, const std::optional<std::string>& near) {
  near ? writer.bulk(*near) : writer.integer(1);
}

inline void write(ReplyWriter& writer, const std::vector<std::optional<double>>& strengths) {
  writer.array(strengths.size());
  for (const auto& strength : strengths) strength ? writer.number(*strength) : writer.null();
}

inline void write(ReplyWriter& writer, const std::optional<StrengthAnswer>& answer) {
  if (!answer) return writer.null();
  const auto half_life = answer->half_life_ms;
  const auto stability = answer->stability_ms;
  writer.map(4 + (half_life ? 1 : 0) + (stability ? 1 : 0));
  writer.simple("strength");
  writer.number(answer->strength);
  writer.simple("bias");
  writer.number(answer->bias);
  writer.simple("at");
  answer->at_ms ? writer.integer(*answer->at_ms) : writer.null();
  writer.simple("pinned");
  writer.boolean(answer->is_pinned);
  if (half_life) {
    writer.simple("half-life-ms");
    writer.integer(*half_life);
  }
  if (stability) {
    writer.simple("stability-ms");
    writer.number(*stability);
  }
}

inline void write(ReplyWriter& writer, const std::vector<std::string>& names) {
  writer.array(names.size());
  for (const std::string& name : names) writer.bulk(name);
}

inline void write(ReplyWriter& writer, const Tuning& tuning) {
  writer.map(tuning.size());
  for (const auto& [name, value] : tuning) {
    writer.simple(name);
    writer.number(value);
  }
}

inline void write_error(ReplyWriter& writer, const Error& error) {
  if (error.code == ErrorCode::kWrongType) {
    return writer.error("WRONGTYPE Operation against a key holding the wrong kind of value");
  }
  writer.error("ERR " + error.message);
}

template <class Answer>
std::string reply_of(const Result<Answer>& answer) {
  return rendered([&](ReplyWriter& writer) {
    answer ? write(writer, *answer) : write_error(writer, answer.error());
  });
}

inline std::string reply_of(const Status& status) {
  return rendered(
      [&](ReplyWriter& writer) { status ? writer.ok() : write_error(writer, status.error()); });
}

}  // namespace engram::test::rendering
