// SPDX-License-Identifier: Apache-2.0
#ifdef ENGRAM_HDF5

#include "server/hosts/cli/files/hdf5_library.h"

#include <dlfcn.h>

#include <string>

namespace engram {
namespace {

tl::unexpected<Error> missing(const char* why) {
  return fail(ErrorCode::kUnsupported, std::string("cannot load libhdf5 (") + why +
                                           "): install it, or convert the file to npy");
}

template <typename Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

bool read_id(void* library, const char* name, hid_t& id) {
  const void* const place = dlsym(library, name);
  if (place == nullptr) return false;
  id = *static_cast<const hid_t*>(place);
  return true;
}

Result<Hdf5Library> load_library() {
  void* const library = dlopen(ENGRAM_HDF5, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return missing(dlerror());
  Hdf5Library found;
#define ENGRAM_HDF5_FIND(name) \
  if (!find(library, #name, found.name)) return missing("it lacks " #name);
  ENGRAM_HDF5_FUNCTIONS(ENGRAM_HDF5_FIND)
#undef ENGRAM_HDF5_FIND
  if (found.H5open() < 0) return missing("it does not start");
  // Known once it has started.
  if (!read_id(library, "H5T_NATIVE_FLOAT_g", found.native_float) ||
      !read_id(library, "H5T_IEEE_F32LE_g", found.float32_little_endian) ||
      !read_id(library, "H5P_CLS_DATASET_CREATE_ID_g", found.dataset_creation)) {
    return missing("it lacks types");
  }
  // It prints what goes wrong; we return it.
  found.H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  return found;
}

}  // namespace

Result<const Hdf5Library*> Hdf5Library::load() {
  static const Result<Hdf5Library> library = load_library();
  if (!library) return tl::unexpected(library.error());
  return &*library;
}

}  // namespace engram

#endif
