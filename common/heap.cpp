#include "common/heap.h"

#include <malloc.h>

#include <climits>

namespace espalier {

void keep_freed_memory() {
#ifdef __GLIBC__
  ::mallopt(M_MMAP_MAX, 0);  // large blocks from the heap too: mapped ones are always given back
  ::mallopt(M_TRIM_THRESHOLD, INT_MAX);
  ::mallopt(M_TOP_PAD, 64 << 20);
#endif
}

}  // namespace espalier
