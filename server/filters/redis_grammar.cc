// SPDX-License-Identifier: Apache-2.0
// The expressions of FILTER in Redis 8's vector sets, by operator precedence [Dijkstra 1961]: texts
// that Redis reads mean the same here. From the tightest:
//
//   ! not     **     * / %     + -     < <= > >= == != in     && and     || or
//
// `**` groups from the right, the others from the left. Deviations: true, false and null are values
// in lists, too, and before a parenthesis; a field's name may have bytes beyond ASCII; an exponent
// may have a sign; in strings \uXXXX and the other escapes of JSON are what they are in JSON. What
// Redis lets pass by accident, as `1 2 +`, is an error.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/filters/filter_builder.h"

namespace engram {
namespace {

bool is_space(char c) noexcept {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_name(char c) noexcept {
  return is_letter(c) || is_digit(c) || c == '_' || c == '-' || (c & 0x80) != 0;
}
bool is_sign(char c) noexcept {
  return std::string_view("+-*%/!()<>=|&").find(c) != std::string_view::npos;
}

enum class Bracket : std::uint8_t { kNone, kOpen, kClose };

struct Operator {
  std::string_view name;
  FilterOp op = FilterOp::kNot;
  int precedence = 0;
  int operands = 2;
  Bracket bracket = Bracket::kNone;
};

constexpr std::array kOperators = {
    Operator{"(", FilterOp::kNot, 7, 0, Bracket::kOpen},
    Operator{")", FilterOp::kNot, 7, 0, Bracket::kClose},
    Operator{"!", FilterOp::kNot, 6, 1},
    Operator{"not", FilterOp::kNot, 6, 1},
    Operator{"**", FilterOp::kPower, 5},
    Operator{"*", FilterOp::kMultiply, 4},
    Operator{"/", FilterOp::kDivide, 4},
    Operator{"%", FilterOp::kModulo, 4},
    Operator{"+", FilterOp::kAdd, 3},
    Operator{"-", FilterOp::kSubtract, 3},
    Operator{">", FilterOp::kGreater, 2},
    Operator{">=", FilterOp::kAtLeast, 2},
    Operator{"<", FilterOp::kLess, 2},
    Operator{"<=", FilterOp::kAtMost, 2},
    Operator{"==", FilterOp::kEqual, 2},
    Operator{"!=", FilterOp::kNotEqual, 2},
    Operator{"in", FilterOp::kIn, 2},
    Operator{"and", FilterOp::kAnd, 1},
    Operator{"&&", FilterOp::kAnd, 1},
    Operator{"or", FilterOp::kOr, 0},
    Operator{"||", FilterOp::kOr, 0},
};

/// The four hexadecimal digits that `text` begins with.
std::optional<std::uint32_t> hex4(std::string_view text) noexcept {
  if (text.size() < 4) return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : text.substr(0, 4)) {
    const int digit = is_digit(c)              ? c - '0'
                      : (c >= 'a' && c <= 'f') ? c - 'a' + 10
                      : (c >= 'A' && c <= 'F') ? c - 'A' + 10
                                               : -1;
    if (digit < 0) return std::nullopt;
    value = value * 16 + static_cast<std::uint32_t>(digit);
  }
  return value;
}

void append_utf8(std::string& text, std::uint32_t point) {
  const auto put = [&text](std::uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (point < 0x80) return put(point);
  if (point < 0x800) {
    put(0xc0 | point >> 6);
  } else if (point < 0x10000) {
    put(0xe0 | point >> 12);
    put(0x80 | (point >> 6 & 0x3f));
  } else {
    put(0xf0 | point >> 18);
    put(0x80 | (point >> 12 & 0x3f));
    put(0x80 | (point >> 6 & 0x3f));
  }
  put(0x80 | (point & 0x3f));
}

/// `quoted` without its escapes.
std::string unescape(std::string_view quoted) {
  std::string text;
  text.reserve(quoted.size());
  for (std::size_t i = 0; i < quoted.size(); ++i) {
    if (quoted[i] != '\\' || i + 1 == quoted.size()) {
      text.push_back(quoted[i]);
      continue;
    }
    const char escaped = quoted[++i];
    constexpr std::string_view kNames = "nrtbf";
    constexpr std::string_view kValues = "\n\r\t\b\f";
    if (const std::size_t known = kNames.find(escaped); known != std::string_view::npos) {
      text.push_back(kValues[known]);
      continue;
    }
    const auto first = escaped == 'u' ? hex4(quoted.substr(i + 1)) : std::nullopt;
    if (!first) {
      text.push_back(escaped);
      continue;
    }
    i += 4;
    std::uint32_t point = *first;
    if (point >= 0xd800 && point < 0xdc00 && quoted.substr(i + 1, 2) == "\\u") {
      const auto second = hex4(quoted.substr(i + 3));
      if (second && *second >= 0xdc00 && *second < 0xe000) {
        point = 0x10000 + ((point - 0xd800) << 10) + (*second - 0xdc00);
        i += 6;
      }
    }
    append_utf8(text, point);
  }
  return text;
}

/// Reads tokens and keeps operators that wait for their right operand.
class RedisParser {
 public:
  explicit RedisParser(std::string_view text) : text_(text), builder_(true) {}

  Result<Filter> parse() {
    for (skip_spaces(); at_ < text_.size(); skip_spaces()) {
      ENGRAM_TRY(wants_operand_ ? read_operand() : read_operator());
    }
    if (wants_operand_) return misplaced();
    while (!waiting_.empty()) {
      if (waiting_.back()->bracket == Bracket::kOpen) return misplaced();
      ENGRAM_TRY(apply());
    }
    return builder_.finish();
  }

 private:
  [[nodiscard]] char peek(std::size_t ahead = 0) const noexcept {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  void skip_spaces() noexcept {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }

  /// What cannot be read is quoted from where reading stopped; as a whole, if that is the end.
  [[nodiscard]] tl::unexpected<Error> unreadable() const {
    return error_near(at_ < text_.size() ? at_ : 0);
  }
  /// Tokens that do not make an expression are quoted as a whole.
  [[nodiscard]] tl::unexpected<Error> misplaced() const { return error_near(0); }
  [[nodiscard]] tl::unexpected<Error> error_near(std::size_t begin) const {
    constexpr std::size_t kMostQuoted = 256;
    return fail(ErrorCode::kInvalidArgument, "syntax error in FILTER expression near: " +
                                                 std::string(text_.substr(begin, kMostQuoted)));
  }

  Status read_operand() {
    const char c = peek();
    if (c == '.' && is_name(peek(1))) return push(builder_.field(read_name()));
    if (c == '[') return read_list();
    if (is_letter(c) || is_sign(c)) {
      if (c != '-' || !is_digit(peek(1))) return read_word();
    }
    auto constant = read_constant();
    if (!constant) return unreadable();
    return push(builder_.constant(std::move(*constant)));
  }

  /// Where an operand is wanted: a name of a value, a `(`, or an operator before its operand.
  Status read_word() {
    if (auto constant = read_named_constant()) return push(builder_.constant(std::move(*constant)));
    const Operator* const found = find_operator();
    if (found == nullptr) return unreadable();
    if (found->bracket != Bracket::kOpen && found->operands != 1) return misplaced();
    waiting_.push_back(found);
    return {};
  }

  Status read_operator() {
    if (!is_letter(peek()) && !is_sign(peek())) {
      // A value, where it can be read, is in the wrong place.
      return is_operand_ahead() ? misplaced() : unreadable();
    }
    const Operator* const found = find_operator();
    if (found == nullptr) return unreadable();
    if (found->bracket == Bracket::kClose) return close();
    if (found->operands != 2) return misplaced();
    while (!waiting_.empty() && waiting_.back()->bracket == Bracket::kNone &&
           (waiting_.back()->precedence > found->precedence ||
            (waiting_.back()->precedence == found->precedence && found->op != FilterOp::kPower))) {
      ENGRAM_TRY(apply());
    }
    waiting_.push_back(found);
    wants_operand_ = true;
    return {};
  }

  bool is_operand_ahead() {
    const std::size_t begin = at_;
    if (peek() == '.' && is_name(peek(1))) return true;
    if (peek() == '[') return true;
    const bool is_read = read_constant().has_value();
    if (is_read) at_ = begin;
    return is_read;
  }

  Status close() {
    for (;;) {
      if (waiting_.empty()) return misplaced();
      if (waiting_.back()->bracket == Bracket::kOpen) break;
      ENGRAM_TRY(apply());
    }
    waiting_.pop_back();
    return {};
  }

  /// The operator that came last gets its operands.
  Status apply() {
    const Operator& next = *waiting_.back();
    waiting_.pop_back();
    const auto right = operands_.back();
    operands_.pop_back();
    auto left = right;
    if (next.operands == 2) {
      left = operands_.back();
      operands_.pop_back();
    }
    return push(builder_.operation(next.op, left, right));
  }

  Status push(Result<FilterBuilder::Node> node) {
    if (!node) return tl::unexpected(std::move(node.error()));
    operands_.push_back(*node);
    wants_operand_ = false;
    return {};
  }

  std::string_view read_name() noexcept {
    const std::size_t begin = ++at_;
    while (at_ < text_.size() && is_name(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  /// A number or a string; at_ is where reading stopped.
  std::optional<FilterConstant> read_constant() {
    if (peek() == '"' || peek() == '\'') return read_string();
    if (is_digit(peek()) || peek() == '-') return read_number();
    return std::nullopt;
  }

  std::optional<FilterConstant> read_number() {
    constexpr std::size_t kMostDigits = 255;
    std::string digits;
    for (; digits.size() < kMostDigits; ++at_) {
      const char c = peek();
      const bool is_exponent_sign = (c == '-' || c == '+') && !digits.empty() &&
                                    (digits.back() == 'e' || digits.back() == 'E') &&
                                    is_digit(peek(1));
      const bool is_minus = c == '-' && digits.empty();
      if (!is_digit(c) && c != '.' && c != 'e' && c != 'E' && !is_minus && !is_exponent_sign) break;
      digits.push_back(c);
    }
    char* end = nullptr;
    const double number = std::strtod(digits.c_str(), &end);
    if (end != digits.c_str() + digits.size() || digits.size() == kMostDigits) return std::nullopt;
    return FilterConstant{.kind = ConstantKind::kNumber, .number = number};
  }

  std::optional<FilterConstant> read_string() {
    const char quote = text_[at_++];
    const std::size_t begin = at_;
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) {
        ++at_;
      } else if (text_[at_] == quote) {
        return FilterConstant{.kind = ConstantKind::kString,
                              .text = unescape(text_.substr(begin, at_++ - begin))};
      }
    }
    return std::nullopt;
  }

  /// null, true or false; the latter are numbers.
  std::optional<FilterConstant> read_named_constant() {
    std::size_t end = at_;
    while (end < text_.size() && is_letter(text_[end])) ++end;
    const std::string_view word = text_.substr(at_, end - at_);
    if (word != "null" && word != "true" && word != "false") return std::nullopt;
    at_ = end;
    if (word == "null") return FilterConstant{.kind = ConstantKind::kNull};
    return FilterConstant{.kind = ConstantKind::kNumber, .number = word == "true" ? 1.0 : 0.0};
  }

  /// [a, b, ...]; a comma may stand at its end.
  Status read_list() {
    std::vector<FilterConstant> members;
    ++at_;
    for (;;) {
      skip_spaces();
      if (peek() == ']') break;
      auto member = is_letter(peek()) ? read_named_constant() : read_constant();
      if (!member) return unreadable();
      members.push_back(std::move(*member));
      skip_spaces();
      if (peek() == ']') break;
      if (peek() != ',') return unreadable();
      ++at_;
    }
    ++at_;
    return push(builder_.list(std::move(members)));
  }

  /// The longest operator that the letters and signs from here begin with; null if there is none,
  /// and then reading has stopped behind them.
  const Operator* find_operator() noexcept {
    const std::size_t begin = at_;
    while (is_letter(peek()) || (peek() != '\0' && is_sign(peek()))) ++at_;
    const std::string_view run = text_.substr(begin, at_ - begin);
    const Operator* best = nullptr;
    for (const Operator& candidate : kOperators) {
      if (!run.starts_with(candidate.name)) continue;
      if (best == nullptr || candidate.name.size() > best->name.size()) best = &candidate;
    }
    if (best != nullptr) at_ = begin + best->name.size();
    return best;
  }

  const std::string_view text_;
  std::size_t at_ = 0;
  bool wants_operand_ = true;
  FilterBuilder builder_;
  std::vector<FilterBuilder::Node> operands_;
  std::vector<const Operator*> waiting_;  // that came before what they wait for
};

}  // namespace

Result<Filter> compile_redis_filter(std::string_view text) {
  return RedisParser(text).parse();
}

}  // namespace engram
