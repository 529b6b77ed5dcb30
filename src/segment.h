/*
 * The shared file with the accounts: made at the first call, mapped once and never swapped, published under a name
 * when the program is ready to be looked at.  Layout and rules for readers: include/tagpool/segment.h.
 *
 * When the file cannot be had (no /dev/shm, RLIMIT_FSIZE, no room) private memory takes its place, whole or in part,
 * and the program runs on; a reader is told by TAGPOOL_SEGMENT_INCOMPLETE, or finds nothing.
 *
 * In a forked child private memory lies over the mapping until tp_segment_renew makes a file of its own.
 */
#ifndef TP_SEGMENT_H
#define TP_SEGMENT_H

#include "base.h"

#include <tagpool/segment.h>

#define TP_SLOT_COUNT 16384u
#define TP_TALLY_COUNT 262144u
#define TP_QUOTA_COUNT 4096u

/* Bases of the mapped tables; the header and control page lie at tp_segment. */
extern struct tagpool_segment_header *tp_segment;
extern struct tagpool_segment_slot *tp_segment_slots;
extern struct tagpool_segment_tally *tp_segment_tallies;
extern struct tagpool_segment_quota *tp_segment_quotas;

/* What the fast path compares: control.epoch of the file, or of private memory. */
extern TP_HIDDEN const struct tagpool_segment_control *tp_segment_control;

/* Make and map the segment for this many units; 0 or a negative errno when there is not even private memory. */
int tp_segment_init(size_t unit_count);

/* All threads look up anew what they know of tags (I1). */
void tp_segment_next_epoch(void);

/* Bytes of the mapping; the header's own field is for readers. */
size_t tp_segment_size(void);

/* Give the file its name, so that readers find it.  Once; later calls do nothing. */
void tp_segment_publish(void);

/* The program ends: take the name away. */
void tp_segment_retire(void);

/*
 * Have a region's rows [from, to), or the first `count` slots, tallies or quota accounts, ready for stores that
 * cannot fault.  0, or a negative errno when there is not even private memory for them.
 */
int tp_segment_rows_ready(unsigned region, size_t from, size_t to);
int tp_segment_slots_ready(size_t count);
int tp_segment_tallies_ready(size_t count);
int tp_segment_quotas_ready(size_t count);

/* Tell readers how far a region's rows are in use, and that a slot is. */
void tp_segment_region_used(unsigned region, size_t first, size_t used);
void tp_segment_slot_used(uint32_t slot);

/*
 * In a forked child: put private memory over the mapping, with the slots' names but none of their numbers.  The
 * parent's file is untouched.
 */
void tp_segment_detach(void);

/* Give a forked child a file of its own with what its private memory holds.  Only while it has one thread. */
void tp_segment_renew(void);

#endif
