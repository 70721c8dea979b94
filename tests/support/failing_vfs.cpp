#include "failing_vfs.hpp"

#include <sqlite3.h>

#include <stdexcept>

namespace websession::testing {
namespace {

struct State {
  std::size_t calls_left = 0;  // 0: none fails
  bool forever = false;
  bool has_failed = false;
  FailingVfs::Fault fault{};
};
// SQLite's interface has no room for more than one.
State state;
sqlite3_vfs* real = nullptr;

// Whether this call is one of those that fail.
bool strikes(bool takes_room) {
  if (state.fault == FailingVfs::Fault::disk_is_full && !takes_room) return false;
  if (state.has_failed) return state.forever;
  if (state.calls_left == 0 || --state.calls_left > 0) return false;
  state.has_failed = true;
  return true;
}
int code(int io_error) {
  return state.fault == FailingVfs::Fault::disk_is_full ? SQLITE_FULL : io_error;
}

struct File {
  sqlite3_file base;
  sqlite3_file* inner;
};
sqlite3_file* inner_of(sqlite3_file* file) { return reinterpret_cast<File*>(file)->inner; }
const sqlite3_io_methods& methods_of(sqlite3_file* file) { return *inner_of(file)->pMethods; }

int close(sqlite3_file* file) { return methods_of(file).xClose(inner_of(file)); }
int read(sqlite3_file* file, void* to, int size, sqlite3_int64 at) {
  if (strikes(false)) return SQLITE_IOERR_READ;
  return methods_of(file).xRead(inner_of(file), to, size, at);
}
int write(sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
  if (strikes(true)) {
    // Some of it may have reached the disk.
    (void)methods_of(file).xWrite(inner_of(file), from, size / 2, at);
    return code(SQLITE_IOERR_WRITE);
  }
  return methods_of(file).xWrite(inner_of(file), from, size, at);
}
int truncate(sqlite3_file* file, sqlite3_int64 size) {
  if (strikes(false)) return SQLITE_IOERR_TRUNCATE;
  return methods_of(file).xTruncate(inner_of(file), size);
}
int sync(sqlite3_file* file, int flags) {
  if (strikes(true)) return code(SQLITE_IOERR_FSYNC);
  return methods_of(file).xSync(inner_of(file), flags);
}
int file_size(sqlite3_file* file, sqlite3_int64* size) {
  if (strikes(false)) return SQLITE_IOERR_FSTAT;
  return methods_of(file).xFileSize(inner_of(file), size);
}
int lock(sqlite3_file* file, int level) {
  if (strikes(false)) return SQLITE_IOERR_LOCK;
  return methods_of(file).xLock(inner_of(file), level);
}
int unlock(sqlite3_file* file, int level) {
  return methods_of(file).xUnlock(inner_of(file), level);
}
int check_reserved_lock(sqlite3_file* file, int* result) {
  return methods_of(file).xCheckReservedLock(inner_of(file), result);
}
int file_control(sqlite3_file* file, int what, void* argument) {
  return methods_of(file).xFileControl(inner_of(file), what, argument);
}
int sector_size(sqlite3_file* file) { return methods_of(file).xSectorSize(inner_of(file)); }
int device_characteristics(sqlite3_file* file) {
  return methods_of(file).xDeviceCharacteristics(inner_of(file));
}
int shm_map(sqlite3_file* file, int page, int size, int extend, void volatile** memory) {
  if (strikes(extend != 0)) return code(SQLITE_IOERR_SHMMAP);
  return methods_of(file).xShmMap(inner_of(file), page, size, extend, memory);
}
int shm_lock(sqlite3_file* file, int offset, int count, int flags) {
  const bool unlocks = (flags & SQLITE_SHM_UNLOCK) != 0;
  if (!unlocks && strikes(false)) return SQLITE_IOERR_SHMLOCK;
  return methods_of(file).xShmLock(inner_of(file), offset, count, flags);
}
void shm_barrier(sqlite3_file* file) { methods_of(file).xShmBarrier(inner_of(file)); }
int shm_unmap(sqlite3_file* file, int remove) {
  return methods_of(file).xShmUnmap(inner_of(file), remove);
}

// Version 2: without memory-mapped reads.
constexpr sqlite3_io_methods methods = {2,
                                        close,
                                        read,
                                        write,
                                        truncate,
                                        sync,
                                        file_size,
                                        lock,
                                        unlock,
                                        check_reserved_lock,
                                        file_control,
                                        sector_size,
                                        device_characteristics,
                                        shm_map,
                                        shm_lock,
                                        shm_barrier,
                                        shm_unmap,
                                        nullptr,
                                        nullptr};

int open(sqlite3_vfs*, sqlite3_filename name, sqlite3_file* file, int flags, int* out_flags) {
  auto* const made = reinterpret_cast<File*>(file);
  made->base.pMethods = nullptr;
  if (strikes(false)) return SQLITE_CANTOPEN;
  made->inner = reinterpret_cast<sqlite3_file*>(made + 1);
  const int opened = real->xOpen(real, name, made->inner, flags, out_flags);
  if (opened == SQLITE_OK) made->base.pMethods = &methods;
  return opened;
}
int remove(sqlite3_vfs*, const char* name, int sync_folder) {
  if (strikes(false)) return SQLITE_IOERR_DELETE;
  return real->xDelete(real, name, sync_folder);
}
int access(sqlite3_vfs*, const char* name, int flags, int* result) {
  if (strikes(false)) return SQLITE_IOERR_ACCESS;
  return real->xAccess(real, name, flags, result);
}
int full_path(sqlite3_vfs*, const char* name, int size, char* to) {
  return real->xFullPathname(real, name, size, to);
}

sqlite3_vfs failing;

}  // namespace

FailingVfs::FailingVfs() {
  real = sqlite3_vfs_find(nullptr);
  if (real == nullptr || real == &failing) throw std::runtime_error("no VFS to stand upon");
  failing = *real;
  failing.szOsFile = static_cast<int>(sizeof(File)) + real->szOsFile;
  failing.zName = "failing";
  failing.pNext = nullptr;
  failing.xOpen = open;
  failing.xDelete = remove;
  failing.xAccess = access;
  failing.xFullPathname = full_path;
  state = {};
  if (sqlite3_vfs_register(&failing, 1) != SQLITE_OK) throw std::runtime_error("no failing VFS");
}

FailingVfs::~FailingVfs() {
  state = {};
  (void)sqlite3_vfs_register(real, 1);
  (void)sqlite3_vfs_unregister(&failing);
}

void FailingVfs::fail(std::size_t n, Fault fault, bool forever) {
  state = {n, forever, false, fault};
}
void FailingVfs::work() { state = {}; }
bool FailingVfs::has_failed() const { return state.has_failed; }

}  // namespace websession::testing
