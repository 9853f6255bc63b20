#include "common/cores.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "common/cgroup.h"

namespace espalier {

int masked_processors() {
  cpu_set_t mask;
  if (::sched_getaffinity(0, sizeof mask, &mask) == 0) return CPU_COUNT(&mask);
  return static_cast<int>(std::thread::hardware_concurrency());  // more processors than the mask has places
}

int usable_cores() {
  static const int cores = usable_cores(masked_processors(), CgroupPlace());
  return cores;
}

int usable_cores(int processors, const CgroupPlace& place) {
  const auto limits = cgroup_limits(place);
  const double allowed = limits.cores ? std::ceil(*limits.cores) : processors;
  return std::max(1, static_cast<int>(std::min<double>(processors, allowed)));
}

}  // namespace espalier
