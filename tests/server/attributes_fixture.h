// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tests/server/collection_fixture.h"

namespace engram::test {

/// A collection whose keys are given attributes.
class AttributesFixture : public CollectionFixture {
 public:
  using CollectionFixture::CollectionFixture;

  void start_put_with(const std::string& key, const Vector& vector, GivenAttributes attributes) {
    Collection::PutBatch batch(collection);
    REQUIRE(batch.add(key, vector).has_value());
    ++running;
    batch.commit(
        [this](const Result<std::size_t>& added) {
          CHECK((added.has_value() || puts_may_fail));
          --running;
        },
        {}, attributes);
  }
  void put_with(const std::string& key, GivenAttributes attributes) {
    start_put_with(key, Vector(collection->spec().dim, 1), attributes);
    finish();
  }
  bool set(std::string_view key, std::string_view text) {
    const auto answer = collection->set_attributes(key, text);
    REQUIRE(answer.has_value());
    return *answer;
  }
  /// "-" if there is no such key.
  std::string of(std::string_view key) const {
    return std::string(collection->attributes_of(key).value_or("-"));
  }
  std::size_t count() const { return collection->attributes().count(); }

  bool puts_may_fail = false;
};

}  // namespace engram::test
