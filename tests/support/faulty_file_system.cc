// SPDX-License-Identifier: Apache-2.0
#include "tests/support/faulty_file_system.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <string_view>
#include <utility>

#include "core/assert.h"

namespace engram::test {
namespace {

constexpr std::size_t kSectorBytes = 512;

std::span<const std::byte> span_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::uint64_t up_to(std::mt19937_64& rng, std::uint64_t most) {
  return rng() % (most + 1);
}

bool is_in(const std::string& path, const std::string& directory) {
  return path.size() > directory.size() && path.starts_with(directory) &&
         path[directory.size()] == '/' && path.find('/', directory.size() + 1) == path.npos;
}

}  // namespace

class FaultyFileSystem::File final : public WritableFile {
 public:
  File(FaultyFileSystem& disk, std::string path, NodePtr node, std::unique_ptr<WritableFile> real)
      : disk_(disk), path_(std::move(path)), node_(std::move(node)), real_(std::move(real)) {}

  Status append(std::span<const std::byte> bytes) override {
    const std::lock_guard lock(disk_.mutex_);
    return disk_.append(*real_, bytes);
  }

  Status sync() override {
    std::unique_lock lock(disk_.mutex_);
    ++disk_.syncs_;
    ENGRAM_TRY(disk_.begin());
    if (disk_.hold_syncs_) {
      ++disk_.held_;
      disk_.changed_.notify_all();
      disk_.changed_.wait(lock, [this] { return !disk_.hold_syncs_; });
      --disk_.held_;
    }
    const auto fault = disk_.take_fault();
    node_->sync_failed = node_->sync_failed || fault || disk_.fail_syncs_;
    if (fault && node_->kept > 0) disk_.failed_sync_ = path_;
    if (fault) return injected(*fault);
    if (disk_.stopped_ || disk_.fail_syncs_) return injected({});
    if (node_->sync_failed) return {};
    node_->kept = real_->size();
    node_->on_disk.reset();
    return {};
  }

  Status truncate(std::uint64_t size) override {
    const std::lock_guard lock(disk_.mutex_);
    ENGRAM_TRY(disk_.begin());
    if (const auto fault = disk_.take_fault()) return injected(*fault);
    if (disk_.stopped_) return injected({});
    disk_.note_cut(path_, *node_, size);
    return real_->truncate(size);
  }

  std::uint64_t size() const noexcept override { return real_->size(); }

 private:
  FaultyFileSystem& disk_;
  const std::string path_;
  const NodePtr node_;
  const std::unique_ptr<WritableFile> real_;
};

void FaultyFileSystem::fail_at(std::uint64_t operation, ErrorCode code, std::size_t appended) {
  const std::lock_guard lock(mutex_);
  faults_[operation] = {.code = code, .appended = appended, .bit = std::nullopt};
}

void FaultyFileSystem::fail_with(std::uint64_t operation, int error, std::size_t appended) {
  const std::lock_guard lock(mutex_);
  faults_[operation] = {.code = error == ENOSPC ? ErrorCode::kNoSpace : ErrorCode::kIo,
                        .appended = appended,
                        .bit = std::nullopt,
                        .error = error};
}

void FaultyFileSystem::fail_reading_with(std::uint64_t reading, int error) {
  const std::lock_guard lock(mutex_);
  reading_faults_[reading] = {.appended = 0, .bit = std::nullopt, .error = error};
}

void FaultyFileSystem::flip_bit_at(std::uint64_t operation, std::uint64_t bit) {
  const std::lock_guard lock(mutex_);
  faults_[operation] = {.appended = 0, .bit = bit};
}

void FaultyFileSystem::stop_at(std::uint64_t operation, std::uint64_t seed) {
  const std::lock_guard lock(mutex_);
  stop_at_ = operation;
  stop_rng_.seed(seed);
}

bool FaultyFileSystem::stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

void FaultyFileSystem::set_space(std::optional<std::uint64_t> bytes) {
  const std::lock_guard lock(mutex_);
  space_ = bytes;
}

void FaultyFileSystem::fail_syncs(bool fail) {
  const std::lock_guard lock(mutex_);
  fail_syncs_ = fail;
}

void FaultyFileSystem::refuse_links() {
  const std::lock_guard lock(mutex_);
  refuses_links_ = true;
}

void FaultyFileSystem::hold_syncs() {
  const std::lock_guard lock(mutex_);
  hold_syncs_ = true;
}

void FaultyFileSystem::release_syncs() {
  const std::lock_guard lock(mutex_);
  hold_syncs_ = false;
  changed_.notify_all();
}

void FaultyFileSystem::await_held_sync() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return held_ > 0; });
}

std::uint64_t FaultyFileSystem::operations() const {
  const std::lock_guard lock(mutex_);
  return operations_;
}

std::uint64_t FaultyFileSystem::syncs() const {
  const std::lock_guard lock(mutex_);
  return syncs_;
}

std::uint64_t FaultyFileSystem::readings() const {
  const std::lock_guard lock(mutex_);
  return readings_;
}

std::string FaultyFileSystem::failed_sync() const {
  const std::lock_guard lock(mutex_);
  return failed_sync_;
}

tl::unexpected<Error> FaultyFileSystem::injected(const Fault& fault) {
  const int error = fault.error != 0                    ? fault.error
                    : fault.code == ErrorCode::kNoSpace ? ENOSPC
                                                        : EIO;
  return fail(fault.code, std::string(std::strerror(error)) + " (injected)");
}

Status FaultyFileSystem::begin_reading() {
  const std::lock_guard lock(mutex_);
  const auto fault = reading_faults_.find(++readings_);
  if (fault == reading_faults_.end()) return {};
  return injected(reading_faults_.extract(fault).mapped());
}

Result<std::unique_ptr<ReadableFile>> FaultyFileSystem::open_for_reading(const std::string& path) {
  ENGRAM_TRY(begin_reading());
  return real_.open_for_reading(path);
}

Result<std::vector<std::string>> FaultyFileSystem::list(const std::string& directory) {
  ENGRAM_TRY(begin_reading());
  return real_.list(directory);
}

Result<std::unique_ptr<DirectoryLock>> FaultyFileSystem::lock(const std::string& path) {
  ENGRAM_TRY(begin_reading());
  return real_.lock(path);
}

// Counts the operation. The one that stops the world goes on to decide what of it is still done.
Status FaultyFileSystem::begin() {
  if (stopped_) return injected({});
  stopped_ = stop_at_ == ++operations_;
  return {};
}

std::optional<FaultyFileSystem::Fault> FaultyFileSystem::take_fault() {
  const auto found = faults_.find(operations_);
  if (found == faults_.end() || found->second.bit) return std::nullopt;
  return faults_.extract(found).mapped();
}

Status FaultyFileSystem::append(WritableFile& file, std::span<const std::byte> bytes) {
  ENGRAM_TRY(begin());
  if (stopped_) {
    [[maybe_unused]] const Status part = file.append(bytes.first(up_to(stop_rng_, bytes.size())));
    return injected({});
  }
  if (const auto fault = take_fault()) {
    ENGRAM_TRY(file.append(bytes.first(std::min(fault->appended, bytes.size()))));
    return injected(*fault);
  }
  if (space_ && bytes.size() > *space_) {
    ENGRAM_TRY(file.append(bytes.first(std::exchange(*space_, 0))));
    return injected({.code = ErrorCode::kNoSpace});
  }
  if (space_) *space_ -= bytes.size();
  const auto flip = faults_.find(operations_);
  if (flip == faults_.end()) return file.append(bytes);
  std::vector<std::byte> wrong(bytes.begin(), bytes.end());
  const std::uint64_t bit = *flip->second.bit;
  if (bit / 8 < wrong.size()) wrong[bit / 8] ^= std::byte{1} << (bit % 8);
  return file.append(wrong);
}

Result<std::unique_ptr<WritableFile>> FaultyFileSystem::create(const std::string& path) {
  const std::lock_guard lock(mutex_);
  ENGRAM_TRY(begin());
  if (const auto fault = take_fault()) return injected(*fault);
  if (space_ == 0U) return injected({.code = ErrorCode::kNoSpace});
  const bool done = !stopped_ || stop_rng_() % 2 == 0;
  if (!done) return injected({});
  NodePtr node = node_of(path);
  if (node != nullptr) note_cut(path, *node, 0);
  auto file = real_.create(path);
  if (!file) return file;
  if (node == nullptr) node = names_[path] = std::make_shared<Node>();
  if (stopped_) return injected({});
  return std::make_unique<File>(*this, path, std::move(node), std::move(*file));
}

Result<std::unique_ptr<WritableFile>> FaultyFileSystem::open_for_append(const std::string& path) {
  const std::lock_guard lock(mutex_);
  ENGRAM_TRY(begin());
  if (const auto fault = take_fault()) return injected(*fault);
  if (stopped_) return injected({});
  auto file = real_.open_for_append(path);
  if (!file) return file;
  return std::make_unique<File>(*this, path, node_of(path), std::move(*file));
}

/// Of names: when the world stops it is done or not.
Status FaultyFileSystem::change(const std::function<Status()>& work) {
  const std::lock_guard lock(mutex_);
  ENGRAM_TRY(begin());
  if (const auto fault = take_fault()) return injected(*fault);
  if (stopped_ && stop_rng_() % 2 == 0) return injected({});
  ENGRAM_TRY(work());
  if (stopped_) return injected({});
  return {};
}

Status FaultyFileSystem::rename(const std::string& from, const std::string& to) {
  return change([&]() -> Status {
    const NodePtr node = node_of(from);
    forget_name(to);
    ENGRAM_TRY(real_.rename(from, to));
    names_[from] = nullptr;
    names_[to] = node;
    return {};
  });
}

Status FaultyFileSystem::link(const std::string& from, const std::string& to) {
  return change([&]() -> Status {
    if (refuses_links_) return FileSystem::link(from, to);
    const NodePtr node = node_of(from);
    forget_name(to);
    ENGRAM_TRY(real_.link(from, to));
    names_[to] = node;
    return {};
  });
}

Status FaultyFileSystem::remove(const std::string& path) {
  return change([&]() -> Status {
    forget_name(path);
    return real_.remove(path);
  });
}

Status FaultyFileSystem::sync_directory(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  ENGRAM_TRY(begin());
  if (const auto fault = take_fault()) return injected(*fault);
  if (stopped_ || fail_syncs_) return injected({});
  for (const auto& [path, node] : names_) {
    if (is_in(path, directory)) on_disk_[path] = node;
  }
  return {};
}

// A file that was there before is on the disk as it is.
FaultyFileSystem::NodePtr FaultyFileSystem::node_of(const std::string& path) {
  if (const auto found = names_.find(path); found != names_.end()) return found->second;
  const auto file = real_.open_for_reading(path);
  NodePtr node;
  if (file)
    node = std::make_shared<Node>(Node{.kept = (*file)->size(), .on_disk = {}, .last_bytes = {}});
  names_[path] = on_disk_[path] = node;
  return node;
}

void FaultyFileSystem::forget_name(const std::string& path) {
  const NodePtr node = node_of(path);
  if (node != nullptr) node->last_bytes = read(path);
  names_[path] = nullptr;
}

void FaultyFileSystem::note_cut(const std::string& path, Node& node, std::uint64_t size) {
  if (size >= node.kept) return;
  if (!node.on_disk) node.on_disk = read(path).substr(0, node.kept);
  node.kept = size;
}

std::string FaultyFileSystem::read(const std::string& path) {
  const auto file = real_.open_for_reading(path);
  ENGRAM_ASSERT(file.has_value());
  const auto content = FileContent::read(**file);
  ENGRAM_ASSERT(content.has_value());
  const auto bytes = content->bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string FaultyFileSystem::survivor(const std::string& content, const Node& node,
                                       std::mt19937_64& rng) {
  if (node.on_disk && rng() % 2 == 0) return *node.on_disk;
  const std::uint64_t kept = std::min<std::uint64_t>(node.kept, content.size());
  std::string left = content;
  if (rng() % 2 == 0) left.resize(kept + up_to(rng, content.size() - kept));
  if (rng() % 4 == 0) left.resize(kept);
  const bool holes = rng() % 2 == 0;
  for (std::size_t at = kept; holes && at < left.size();) {
    const std::size_t next = std::min((at / kSectorBytes + 1) * kSectorBytes, left.size());
    if (rng() % 3 == 0) left.replace(at, next - at, next - at, '\0');
    at = next;
  }
  return left;
}

void FaultyFileSystem::replace(const std::string& path, const std::optional<std::string>& content) {
  Status done = real_.remove(path);
  if (done && content) {
    const auto file = real_.create(path);
    ENGRAM_ASSERT(file.has_value());
    done = (*file)->append(span_of(*content));
  }
  ENGRAM_ASSERT(done.has_value());
}

FaultyFileSystem::Names FaultyFileSystem::surviving_names(std::mt19937_64& rng) {
  Names left;
  std::set<NodePtr> found;
  std::set<NodePtr> was_on_disk;
  for (const auto& [path, node] : on_disk_) was_on_disk.insert(node);
  for (const auto& [path, node] : names_) {
    const auto before = on_disk_.find(path);
    const bool kept = rng() % 2 == 0;
    left[path] = kept ? node : before != on_disk_.end() ? before->second : nullptr;
    found.insert(left[path]);
  }
  // A rename is done or not: what was on the disk has its new name if not the old one.
  for (const auto& [path, node] : names_) {
    if (was_on_disk.contains(node) && found.insert(node).second) left[path] = node;
  }
  return left;
}

void FaultyFileSystem::lose_unsynced(std::uint64_t seed) {
  const std::lock_guard lock(mutex_);
  std::mt19937_64 rng(seed);
  std::map<Node*, std::string> survivors;
  for (const auto& [path, node] : names_) {
    if (node != nullptr) survivors[node.get()] = survivor(read(path), *node, rng);
  }
  for (const auto& [path, node] : surviving_names(rng)) {
    std::optional<std::string> content;
    if (node != nullptr) {
      const auto alive = survivors.find(node.get());
      content = alive != survivors.end() ? alive->second : survivor(*node->last_bytes, *node, rng);
    }
    replace(path, content);
  }
  names_.clear();
  on_disk_.clear();
  forgive();
}

void FaultyFileSystem::restart() {
  const std::lock_guard lock(mutex_);
  forgive();
}

void FaultyFileSystem::forgive() {
  faults_.clear();
  reading_faults_.clear();
  stop_at_.reset();
  stopped_ = false;
  space_.reset();
  fail_syncs_ = false;
  refuses_links_ = false;
}

}  // namespace engram::test
