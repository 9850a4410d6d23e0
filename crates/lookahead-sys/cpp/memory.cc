// What the C library's allocator does with freed memory.

#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace lookahead {

bool keep_freed_memory() {
#if defined(__GLIBC__)
  // The largest possible threshold, and more at the end of the heap than a training step frees.
  constexpr int kMmap = 32 << 20, kTrim = 1 << 29;
  return mallopt(M_MMAP_THRESHOLD, kMmap) == 1 && mallopt(M_TRIM_THRESHOLD, kTrim) == 1;
#else
  return false;
#endif
}

}  // namespace lookahead
