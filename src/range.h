/*
 * Ranges: whether memory that a function is about to read or write belongs to the block that it begins in.
 *
 * For functions of the C library that are handed a pointer and a length: bytes behind a block's end that guard pages do
 * not reach, and pages that the kernel alone touches.
 */
#ifndef TP_RANGE_H
#define TP_RANGE_H

#include "base.h"

#include <tagpool/report.h>

/*
 * Stop where [p, p + size) is not all in the checked block that p lies in, or next to.  What is no checked block's is
 * none of our business.
 */
void tp_range_check(const void *p, size_t size, enum tagpool_report_access access);

/* The same for a buffer that is given to the kernel: what is too long is a violation of its own rule. */
void tp_range_check_call(const void *p, size_t size, enum tagpool_report_access access);

#endif
