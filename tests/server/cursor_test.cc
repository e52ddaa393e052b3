// SPDX-License-Identifier: Apache-2.0
// Searches that are answered in pages, beside a model and beside writes.
#include "server/requests/cursor.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "tests/server/request_fixture.h"
#include "tests/support/seed.h"
#include "tests/support/vectors.h"

namespace engram::cursor_test {
namespace {

using test::Found;
using test::RequestFixture;

constexpr std::size_t kDim = 8;

struct Page {
  std::uint64_t next = 0;
  Found found;
};

class Fixture : public RequestFixture {
 public:
  explicit Fixture(std::string_view primitive, std::size_t items = 0) {
    create({.name = "notes", .dim = kDim, .metric = "l2", .primitive = primitive});
    for (std::size_t i = 0; i < items; ++i) put_any(i);
  }

  static std::string key(std::size_t number) { return "key:" + std::to_string(number); }

  void put_any(std::size_t number) {
    const test::Vectors vector = test::uniform_vectors(rng, 1, kDim);
    put("notes", {{key(number), {vector.values.begin(), vector.values.end()}}});
  }

  Result<Page> page(std::uint64_t cursor, std::size_t size, const CursorLimits& limits = {}) {
    Page page;
    Outcome<Page> outcome;
    start(*store, PagedSearchRequest{search_for("notes", {query}, size), cursor, limits},
          Responder<SearchPage>{.take =
                                    [&](const Result<SearchPage>& answer) {
                                      if (!answer) {
                                        outcome.answer = tl::unexpected(answer.error());
                                        return;
                                      }
                                      page.next = answer->next;
                                      for (const Neighbor& each : answer->neighbors) {
                                        page.found.emplace_back(each.key, each.distance);
                                      }
                                      outcome.answer = page;
                                    },
                                .finish = [&](Lsn) { outcome.is_finished = true; }});
    run_until([&] { return outcome.is_finished; });
    return *outcome.answer;
  }

  template <class Kept>
  using Outcome = test::Outcome<Kept>;

  test::Rng rng = test::make_rng(1);
  std::vector<float> query = std::vector<float>(kDim, 0.1F);
};

std::string error_of(const Result<Page>& page) {
  REQUIRE_FALSE(page.has_value());
  return page.error().message;
}

TEST_CASE("requests/cursor: the pages of an exact search are the search for all, in its order") {
  Fixture fixture("flat", 200);
  const Found all = fixture.search(fixture.search_for("notes", {fixture.query}, 1000))->front();
  Found paged;
  std::uint64_t cursor = 0;
  do {
    const Page page = fixture.page(cursor, 1 + fixture.rng() % 40).value();
    paged.insert(paged.end(), page.found.begin(), page.found.end());
    cursor = page.next;
  } while (cursor != 0);
  CHECK(paged == all);
  CHECK(fixture.store->cursors().size() == 0);
  CHECK(fixture.store->cursors().bytes() == 0);
}

TEST_CASE("requests/cursor: one page that holds all is the last") {
  Fixture fixture("flat", 5);
  const Page page = fixture.page(0, 5).value();
  CHECK(page.next == 0);
  CHECK(page.found.size() == 5);
  CHECK(fixture.page(0, 4).value().next != 0);
  Fixture empty("flat");
  CHECK(empty.page(0, 3).value().next == 0);
}

/// Pages of random sizes through an index that is written to between them, and while they are
/// answered.
void check_pages(std::string_view primitive, int pages) {
  Fixture fixture(primitive, 400);
  std::size_t next_key = 400;
  while (pages > 0) {
    std::set<std::string> stayed;  // there all the time
    for (std::size_t i = 0; i < 400; ++i) {
      if (fixture.index("notes").collection->get(Fixture::key(i))) stayed.insert(Fixture::key(i));
    }
    std::set<std::string> answered;
    std::uint64_t cursor = 0;
    do {
      const std::size_t size = 1 + fixture.rng() % 60;
      const auto page = fixture.page(cursor, size);
      REQUIRE(page.has_value());
      CHECK(page->found.size() <= size);
      CHECK((page->next == 0 || page->found.size() == size));
      for (const auto& each : page->found) {
        CAPTURE(each.first);
        CHECK(answered.insert(each.first).second);
      }
      cursor = page->next;
      --pages;
      for (std::size_t writes = fixture.rng() % 4; writes > 0; --writes) {
        const std::size_t old = fixture.rng() % 400;
        switch (fixture.rng() % 3) {
          case 0:
            fixture.put_any(next_key++);
            break;
          case 1:
            fixture.put_any(old);  // moves, and is there all the time unless it was erased
            break;
          default: {
            const std::string gone = Fixture::key(old);
            REQUIRE(fixture.ask<bool>(EraseRequest{fixture.index("notes"), gone}).has_value());
            stayed.erase(gone);
          }
        }
      }
    } while (cursor != 0);
    for (const std::string& key : stayed) {
      CAPTURE(key);
      CHECK(answered.contains(key));
    }
    for (std::size_t i = 0; i < 400; i += 3) fixture.put_any(i);
  }
}

TEST_CASE("requests/cursor: pages answer nothing twice and miss nothing, whatever is written") {
  check_pages("flat", 60);
  check_pages("hnsw", 60);
}

TEST_CASE("requests/cursor: the same over 1,000 pages" * doctest::test_suite("long")) {
  check_pages("flat", 1000);
  check_pages("hnsw", 1000);
}

TEST_CASE("requests/cursor: a cursor ends when it is idle, and an error says so") {
  Fixture fixture("flat", 10);
  fixture.store->begin_turn(1000);
  const std::uint64_t cursor = fixture.page(0, 3, {.idle_ms = 50}).value().next;
  fixture.store->begin_turn(1049);
  REQUIRE(fixture.page(cursor, 3, {.idle_ms = 50}).value().next == cursor);
  CHECK(fixture.store->longest_sleep().has_value());
  fixture.store->begin_turn(1099);
  fixture.store->end_turn();
  CHECK(fixture.store->cursors().size() == 0);
  CHECK_FALSE(fixture.store->longest_sleep().has_value());
  CHECK(error_of(fixture.page(cursor, 3)) ==
        "cursor " + std::to_string(cursor) +
            " has ended: it was idle for longer than search-cursor-timeout allows");
}

TEST_CASE("requests/cursor: a cursor that there is not, or of another search, is refused") {
  Fixture fixture("flat", 10);
  CHECK(error_of(fixture.page(17, 3)).starts_with("there is no cursor 17"));
  const std::uint64_t cursor = fixture.page(0, 3).value().next;
  const float before = std::exchange(fixture.query[0], 1);
  CHECK(error_of(fixture.page(cursor, 3)).ends_with("is of another index or query"));
  fixture.query[0] = before;
  PagedSearchRequest touching{fixture.search_for("notes", {fixture.query}, 3), cursor, {}};
  touching.search.strength.touch = 1;
  test::Outcome<bool> outcome;
  std::string error;
  start(*fixture.store, std::move(touching),
        Responder<SearchPage>{
            .take = [&](const Result<SearchPage>& page) { error = page.error().message; },
            .finish = [&](Lsn) { outcome.is_finished = true; }});
  CHECK(outcome.is_finished);
  CHECK(error == "CURSOR asks again for what it has answered, so it cannot TOUCH");
  CHECK(fixture.page(cursor, 100).value().next == 0);  // it was left where it was
}

TEST_CASE("requests/cursor: cursors are bounded in number and in bytes") {
  Fixture fixture("flat", 100);
  std::vector<std::uint64_t> cursors;
  for (int i = 0; i < 3; ++i) cursors.push_back(fixture.page(0, 3, {.most = 3}).value().next);
  CHECK(error_of(fixture.page(0, 3, {.most = 3})).find("search-cursors allows 3") !=
        std::string::npos);
  const std::size_t bytes = fixture.store->cursors().bytes();
  CHECK(bytes > 0);
  CHECK(fixture.page(cursors[0], 50).value().next != 0);
  CHECK(fixture.store->cursors().bytes() > bytes);
  CHECK(error_of(fixture.page(cursors[0], 3, {.most_bytes = 100}))
            .find("search-cursor-memory allows 100") != std::string::npos);
  for (const std::uint64_t cursor : cursors) CHECK(fixture.page(cursor, 100).value().next == 0);
  CHECK(fixture.store->cursors().bytes() == 0);
}

TEST_CASE("requests/cursor: a search that fails leaves no cursor behind") {
  Fixture fixture("flat", 3);
  CHECK_FALSE(fixture.page(0, 0).has_value());
  CHECK(fixture.store->cursors().size() == 0);
}

}  // namespace
}  // namespace engram::cursor_test
