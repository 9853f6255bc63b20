#pragma once

namespace espalier {

struct CgroupPlace;

// How many threads this process can keep busy, at least 1: the processors of its affinity mask, and no more than its
// control groups give it time on, rounded up. std::thread::hardware_concurrency() counts the machine's, so that a
// container with two of 64 cores would be choked by 64 threads. Read once.
int usable_cores();

// The processors of this process's affinity mask.
int masked_processors();

// usable_cores() for `processors` of a mask, read anew.
int usable_cores(int processors, const CgroupPlace& place);

}  // namespace espalier
