/*
 * Memory of the whole machine, for the head of the classic layout.
 */
#ifndef HOST_H
#define HOST_H

#include <stdint.h>

struct host {
    uint64_t total_kib;
    uint64_t available_kib;
    uint64_t commit_kib;
    uint64_t commit_limit_kib;
    uint64_t commit_peak_kib; /* highest that was read so far: the kernel keeps none */
    uint64_t kernel_kib;      /* memory of the kernel itself that cannot be taken from it */
    uint64_t faults_total;
    uint64_t faults; /* since the last reading; all since boot at the first one */
};

/* Read it anew; what cannot be read stays 0.  *host is zeroed before the first reading. */
void host_read(struct host *host);

#endif
