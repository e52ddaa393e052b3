// SPDX-License-Identifier: Apache-2.0
// The dataset `train` of a file as ann-benchmarks lays it out. Where the build has no
// libhdf5, it says so.
#include <utility>

#include "core/row.h"
#include "server/hosts/cli/files/formats.h"

#ifdef ENGRAM_HDF5

#include <algorithm>
#include <array>

#include "server/hosts/cli/files/hdf5_library.h"

namespace engram {
namespace {

constexpr const char* kDataset = "train";
constexpr std::size_t kBlockBytes = 256UL << 10;  // rows are read and written in blocks of so many
constexpr std::size_t kMostChunkBytes = 256UL << 20;  // which libhdf5 holds whole

/// An identifier of libhdf5, and what closes it.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);

  Handle() = default;
  Handle(hid_t id, Close how) noexcept : id_(id), close_(how) {}
  Handle(Handle&& other) noexcept
      : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Handle() { close(); }

  bool close() noexcept {
    const hid_t id = std::exchange(id_, H5I_INVALID_HID);
    return id < 0 || close_(id) >= 0;
  }
  [[nodiscard]] bool valid() const noexcept { return id_ >= 0; }
  [[nodiscard]] hid_t get() const noexcept { return id_; }

 private:
  hid_t id_ = H5I_INVALID_HID;
  Close close_ = nullptr;
};

std::size_t rows_of_block(std::size_t dim) noexcept {
  return std::max<std::size_t>(1, kBlockBytes / (dim * sizeof(float)));
}

/// Rows from `first` of the file's dataset, and as many of memory.
struct Selection {
  Handle file;
  Handle memory;

  static Selection of(const Hdf5Library& h5, const Handle& dataset, std::uint64_t first,
                      std::size_t rows, std::size_t dim) {
    Selection selection{.file = {h5.H5Dget_space(dataset.get()), h5.H5Sclose}, .memory = {}};
    const std::array<hsize_t, 2> start = {first, 0};
    const std::array<hsize_t, 2> count = {rows, dim};
    if (!selection.file.valid() ||
        h5.H5Sselect_hyperslab(selection.file.get(), H5S_SELECT_SET, start.data(), nullptr,
                               count.data(), nullptr) < 0) {
      return {};
    }
    selection.memory = {h5.H5Screate_simple(2, count.data(), nullptr), h5.H5Sclose};
    return selection;
  }
  [[nodiscard]] bool valid() const noexcept { return file.valid() && memory.valid(); }
};

class Hdf5Reader final : public VectorReader {
 public:
  Hdf5Reader(const Hdf5Library& h5, std::string path) : h5_(h5), path_(std::move(path)) {}

  Status open() {
    file_ = {h5_.H5Fopen(path_.c_str(), Hdf5Library::kReadOnly, H5P_DEFAULT), h5_.H5Fclose};
    if (!file_.valid()) return bad("is no HDF5 file, or is truncated");
    dataset_ = {h5_.H5Dopen2(file_.get(), kDataset, H5P_DEFAULT), h5_.H5Dclose};
    if (!dataset_.valid()) return bad("has no dataset 'train'");
    ENGRAM_TRY(check_shape());
    return check_storage();
  }

  Result<bool> next(VectorRow& row) override {
    if (read_ == rows_) return false;
    if (next_ == block_.size()) ENGRAM_TRY(read_block());
    row.vector.assign(block_.begin() + static_cast<std::ptrdiff_t>(next_),
                      block_.begin() + static_cast<std::ptrdiff_t>(next_ + dim_));
    next_ += dim_;
    ++read_;
    return true;
  }

  [[nodiscard]] double progress() const noexcept override {
    return rows_ == 0 ? 1 : static_cast<double>(read_) / static_cast<double>(rows_);
  }

 private:
  [[nodiscard]] tl::unexpected<Error> bad(const std::string& what) const {
    return fail(ErrorCode::kDataLoss, path_ + " " + what);
  }

  Status check_shape() {
    const Handle space(h5_.H5Dget_space(dataset_.get()), h5_.H5Sclose);
    std::array<hsize_t, 2> extents{};
    if (!space.valid() || h5_.H5Sget_simple_extent_ndims(space.get()) != 2 ||
        h5_.H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr) != 2) {
      return bad("has a dataset 'train' that has not two dimensions");
    }
    if (extents[1] < 1 || extents[1] > kMaxDimension) {
      return bad("says that its vectors have " + std::to_string(extents[1]) +
                 " dimensions, expected 1 to " + std::to_string(kMaxDimension));
    }
    rows_ = extents[0];
    dim_ = static_cast<std::size_t>(extents[1]);
    return {};
  }

  Status check_storage() const {
    const Handle type(h5_.H5Dget_type(dataset_.get()), h5_.H5Tclose);
    const H5T_class_t kind = type.valid() ? h5_.H5Tget_class(type.get()) : H5T_NO_CLASS;
    if ((kind != H5T_FLOAT && kind != H5T_INTEGER) || h5_.H5Tget_size(type.get()) > 8) {
      return bad("has a dataset 'train' that is not of numbers");
    }
    const Handle created(h5_.H5Dget_create_plist(dataset_.get()), h5_.H5Pclose);
    if (!created.valid()) return bad("cannot be read");
    if (h5_.H5Pget_external_count(created.get()) != 0) {
      return bad("keeps its data in other files, which is not read");
    }
    std::array<hsize_t, 2> chunk{};
    if (h5_.H5Pget_layout(created.get()) != H5D_CHUNKED) return {};
    if (h5_.H5Pget_chunk(created.get(), 2, chunk.data()) != 2 || chunk[0] == 0 || chunk[1] == 0 ||
        chunk[0] > kMostChunkBytes / 8 / chunk[1]) {
      return bad("is stored in chunks of more than " + std::to_string(kMostChunkBytes / 8) +
                 " elements");
    }
    return {};
  }

  Status read_block() {
    const std::size_t rows = std::min<std::uint64_t>(rows_of_block(dim_), rows_ - read_);
    block_.resize(rows * dim_);
    next_ = 0;
    const Selection wanted = Selection::of(h5_, dataset_, read_, rows, dim_);
    if (wanted.valid() && h5_.H5Dread(dataset_.get(), h5_.native_float, wanted.memory.get(),
                                      wanted.file.get(), H5P_DEFAULT, block_.data()) >= 0) {
      return {};
    }
    return bad("cannot be read, or is truncated, in rows " + std::to_string(read_) + " to " +
               std::to_string(read_ + rows - 1));
  }

  const Hdf5Library& h5_;
  const std::string path_;
  Handle file_;
  Handle dataset_;
  std::uint64_t rows_ = 0;
  std::size_t dim_ = 0;
  std::uint64_t read_ = 0;
  std::vector<float> block_;
  std::size_t next_ = 0;  // of block_
};

class Hdf5Writer final : public VectorWriter {
 public:
  Hdf5Writer(const Hdf5Library& h5, OutputFile file, std::size_t dim)
      : h5_(h5), output_(std::move(file)), dim_(dim) {}

  Status open() {
    file_ = {h5_.H5Fcreate(output_.temporary_path().c_str(), Hdf5Library::kTruncate, H5P_DEFAULT,
                           H5P_DEFAULT),
             h5_.H5Fclose};
    const std::array<hsize_t, 2> none = {0, dim_};
    const std::array<hsize_t, 2> most = {H5S_UNLIMITED, dim_};
    const std::array<hsize_t, 2> chunk = {rows_of_block(dim_), dim_};
    const Handle space(h5_.H5Screate_simple(2, none.data(), most.data()), h5_.H5Sclose);
    const Handle options(h5_.H5Pcreate(h5_.dataset_creation), h5_.H5Pclose);
    if (!file_.valid() || !space.valid() || !options.valid() ||
        h5_.H5Pset_chunk(options.get(), 2, chunk.data()) < 0) {
      return failed();
    }
    dataset_ = {h5_.H5Dcreate2(file_.get(), kDataset, h5_.float32_little_endian, space.get(),
                               H5P_DEFAULT, options.get(), H5P_DEFAULT),
                h5_.H5Dclose};
    return dataset_.valid() ? Status() : failed();
  }

  Status add(const VectorRow& row) override {
    block_.insert(block_.end(), row.vector.begin(), row.vector.end());
    return block_.size() < rows_of_block(dim_) * dim_ ? Status() : write_block();
  }

  Status end() override {
    ENGRAM_TRY(write_block());
    const bool is_closed = dataset_.close();
    if (!file_.close() || !is_closed) return failed();
    return output_.finish();
  }

 private:
  [[nodiscard]] Status failed() const {
    return fail(ErrorCode::kIo, "cannot write " + output_.path());
  }

  Status write_block() {
    const std::size_t rows = block_.size() / dim_;
    if (rows == 0) return {};
    const std::array<hsize_t, 2> extents = {written_ + rows, dim_};
    if (h5_.H5Dset_extent(dataset_.get(), extents.data()) < 0) return failed();
    const Selection place = Selection::of(h5_, dataset_, written_, rows, dim_);
    if (!place.valid() || h5_.H5Dwrite(dataset_.get(), h5_.native_float, place.memory.get(),
                                       place.file.get(), H5P_DEFAULT, block_.data()) < 0) {
      return failed();
    }
    written_ += rows;
    block_.clear();
    return {};
  }

  const Hdf5Library& h5_;
  OutputFile output_;
  const std::size_t dim_;
  Handle file_;
  Handle dataset_;
  std::uint64_t written_ = 0;
  std::vector<float> block_;
};

}  // namespace

Result<std::unique_ptr<VectorReader>> open_hdf5_reader(const std::string& path) {
  // For its error: libhdf5 does not tell a file that is not there from one that is damaged.
  ENGRAM_TRY(check_readable(path));
  const auto h5 = Hdf5Library::load();
  if (!h5) return tl::unexpected(h5.error());
  auto reader = std::make_unique<Hdf5Reader>(**h5, path);
  ENGRAM_TRY(reader->open());
  return Result<std::unique_ptr<VectorReader>>(std::move(reader));
}

Result<std::unique_ptr<VectorWriter>> open_hdf5_writer(const std::string& path, std::size_t dim) {
  const auto h5 = Hdf5Library::load();
  if (!h5) return tl::unexpected(h5.error());
  auto file = OutputFile::create(path);
  if (!file) return tl::unexpected(std::move(file.error()));
  auto writer = std::make_unique<Hdf5Writer>(**h5, std::move(*file), dim);
  ENGRAM_TRY(writer->open());
  return Result<std::unique_ptr<VectorWriter>>(std::move(writer));
}

}  // namespace engram

#else

namespace engram {
namespace {

tl::unexpected<Error> no_hdf5() {
  return fail(ErrorCode::kUnsupported,
              "this build has no libhdf5: install libhdf5-dev and build again, or convert the file "
              "to npy");
}

}  // namespace

Result<std::unique_ptr<VectorReader>> open_hdf5_reader(const std::string&) {
  return no_hdf5();
}

Result<std::unique_ptr<VectorWriter>> open_hdf5_writer(const std::string&, std::size_t) {
  return no_hdf5();
}

}  // namespace engram

#endif
