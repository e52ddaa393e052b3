// SPDX-License-Identifier: Apache-2.0
// libhdf5, loaded when a file first asks for it: it brings some thirty libraries, which a program
// linked with it would load at each start of the server.
#pragma once

#include <hdf5.h>

#include "core/result.h"

namespace engram {

/// The functions of libhdf5 that are used, by their names there.
#define ENGRAM_HDF5_FUNCTIONS(X) \
  X(H5Dclose)                    \
  X(H5Dcreate2)                  \
  X(H5Dget_create_plist)         \
  X(H5Dget_space)                \
  X(H5Dget_type)                 \
  X(H5Dopen2)                    \
  X(H5Dread)                     \
  X(H5Dset_extent)               \
  X(H5Dwrite)                    \
  X(H5Eset_auto2)                \
  X(H5Fclose)                    \
  X(H5Fcreate)                   \
  X(H5Fopen)                     \
  X(H5Pclose)                    \
  X(H5Pcreate)                   \
  X(H5Pget_chunk)                \
  X(H5Pget_external_count)       \
  X(H5Pget_layout)               \
  X(H5Pset_chunk)                \
  X(H5Sclose)                    \
  X(H5Screate_simple)            \
  X(H5Sget_simple_extent_dims)   \
  X(H5Sget_simple_extent_ndims)  \
  X(H5Sselect_hyperslab)         \
  X(H5Tclose)                    \
  X(H5Tget_class)                \
  X(H5Tget_size)                 \
  X(H5open)

struct Hdf5Library {
#define ENGRAM_HDF5_MEMBER(name) decltype(&::name) name = nullptr;
  ENGRAM_HDF5_FUNCTIONS(ENGRAM_HDF5_MEMBER)
#undef ENGRAM_HDF5_MEMBER

  // What H5T_NATIVE_FLOAT, H5T_IEEE_F32LE and H5P_DATASET_CREATE stand for; those call the library.
  hid_t native_float = H5I_INVALID_HID;
  hid_t float32_little_endian = H5I_INVALID_HID;
  hid_t dataset_creation = H5I_INVALID_HID;
  // As do H5F_ACC_RDONLY and H5F_ACC_TRUNC.
  static constexpr unsigned kReadOnly = 0;
  static constexpr unsigned kTruncate = 2;

  /// Loads the library, or says again how that went. Thread-safe.
  /// Errors: kUnsupported: it is not installed, or lacks a function.
  static Result<const Hdf5Library*> load();
};

}  // namespace engram
