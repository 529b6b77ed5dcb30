/*
 * The rules that stops are made from: one row each, from which the texts of reports, tagpool-verifier(7) and the list
 * of death tests follow.
 *
 *   X(name, code, constant_at, constant, p1, p2, p3, p4, sentence, advice)
 *
 * Codes and parameters are Windows' own, from its bug check reference.  Where one parameter has a fixed value for the
 * rule, constant_at (1 to 4) says which and `constant` is the value; 0: none has.  p1 to p4 say what each parameter
 * means.  `sentence` and `advice` are for people.  A rule without a test in tests/death fails `make check`.
 */
#ifndef TAGPOOL_RULES_H
#define TAGPOOL_RULES_H

/* Stop codes and their names: X(name, code). */
#define TAGPOOL_STOP_CODES(X)                                                                                          \
    X(SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION, 0xC1)                                                                   \
    X(BAD_POOL_CALLER, 0xC2)                                                                                           \
    X(DRIVER_VERIFIER_DETECTED_VIOLATION, 0xC4)                                                                        \
    X(DRIVER_CAUGHT_MODIFYING_FREED_POOL, 0xC6)                                                                        \
    X(PAGE_FAULT_IN_FREED_SPECIAL_POOL, 0xCC)                                                                          \
    X(PAGE_FAULT_BEYOND_END_OF_ALLOCATION, 0xCD)                                                                       \
    X(DRIVER_VERIFIER_DMA_VIOLATION, 0xE6)

#define TAGPOOL_RULES(X)                                                                                               \
    X(CALLER_FREED_TWICE, BAD_POOL_CALLER, 1, 0x07, "7: already freed", "0", "tag of the block", "address freed",      \
      "A block that had been freed already was freed again",                                                           \
      "Look at who freed it first: one of the two must not own the block.")                                            \
    X(CALLER_WRONG_TAG, BAD_POOL_CALLER, 1, 0x0A, "0xA: wrong tag", "address freed", "tag of the allocation",          \
      "tag given",                                                                                                     \
      "A block was freed under another tag than it was allocated with",                                                \
      "Free it by the module that allocated it, or give the tag that it was allocated with.")                          \
    X(CALLER_NO_POOL, BAD_POOL_CALLER, 1, 0x42, "0x42: never in any pool", "address freed", "0", "0",                  \
      "A pointer that no pool ever gave out was freed",                                                                \
      "Only what an allocation returned may be freed: not the stack, not static data, not a mapping.")                 \
    X(CALLER_INVALID, BAD_POOL_CALLER, 1, 0x46, "0x46: invalid pool address", "address freed", "0", "0",               \
      "A pointer was freed where no block is allocated",                                                               \
      "The block may have been freed before and its memory given back: look for a second owner of the pointer.")       \
    X(CALLER_MIDDLE, BAD_POOL_CALLER, 1, 0x41286, "0x41286: in the middle", "address freed", "address of the block",   \
      "offset in the block",                                                                                           \
      "A pointer into the middle of a block was freed",                                                                \
      "Free the pointer that the allocation returned; keep it where a loop moves another one.")                        \
    X(LOOKASIDE_UNKNOWN, DRIVER_VERIFIER_DETECTED_VIOLATION, 1, 0xCB, "0xCB: not a lookaside list", "list", "0", "0",  \
      "A lookaside list was used that was not made, or was destroyed",                                                 \
      "Make the list before its first use, and destroy it after its last.")                                            \
    X(DMA_FREED_TOO_OFTEN, DRIVER_VERIFIER_DMA_VIOLATION, 1, 0x03, "3: freed too many common buffers",                 \
      "how many too many", "0", "0",                                                                                   \
      "A common buffer was freed that is not allocated",                                                               \
      "Free each common buffer once, on the bus that it was allocated on.")                                            \
    X(DMA_WRITTEN_OUTSIDE, DRIVER_VERIFIER_DMA_VIOLATION, 1, 0x0F, "0xF: written outside", "2: behind the end",        \
      "length", "beginning",                                                                                           \
      "Program or device wrote behind the end of a common buffer",                                                     \
      "Compare the lengths given to the device with the length of the buffer.")                                        \
    X(DMA_NOT_MAPPED, DRIVER_VERIFIER_DMA_VIOLATION, 1, 0x16, "0x16: not mapped", "buffer", "0", "0",                  \
      "A common buffer was used that is not allocated",                                                                \
      "Do not use a common buffer after it was freed.")                                                                \
    X(SPECIAL_UNDERRUN_FOUND, SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION, 4, 0x23, "address freed",                       \
      "first changed address", "0", "0x23: bytes near the block changed",                                              \
      "Bytes before the beginning of a block were changed",                                                            \
      "Run again with --ends=under: then the write itself is stopped.")                                                \
    X(SPECIAL_OVERRUN_FOUND, SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION, 4, 0x24, "address freed",                        \
      "first changed address", "0", "0x24: bytes behind the block changed",                                            \
      "Bytes behind the end of a block were changed",                                                                  \
      "Run again with --exact and --special-pool=all: then the write itself is stopped.")                              \
    X(FREED_POOL_MODIFIED, DRIVER_CAUGHT_MODIFYING_FREED_POOL, 0, 0, "first changed address", "1: user mode", "0",     \
      "0",                                                                                                             \
      "Memory of a freed block was written to",                                                                        \
      "Run again with --special-pool=all for this tag: then the write itself is stopped.")                             \
    X(FREED_POOL_TOUCHED, PAGE_FAULT_IN_FREED_SPECIAL_POOL, 0, 0, "address", "0 read, 1 write", "instruction", "0",    \
      "A freed block was used",                                                                                        \
      "Compare the two stacks: the use must come before the free, or the pointer be forgotten with it.")               \
    X(BEYOND_END_TOUCHED, PAGE_FAULT_BEYOND_END_OF_ALLOCATION, 0, 0, "address", "0 read, 1 write", "instruction", "0", \
      "Memory outside a block was used",                                                                               \
      "Compare the offset with the size that was asked for: an index or a length is wrong there.")                     \
    X(BUFFER_TOO_LONG, PAGE_FAULT_BEYOND_END_OF_ALLOCATION, 2, 2, "address beyond the end",                            \
      "2: by a system call", "length given", "0",                                                                      \
      "A call was given a buffer that is shorter than the length given with it",                                       \
      "Give the call the size of the buffer.")                                                                         \
    X(CALLER_WRONG_FACE, BAD_POOL_CALLER, 1, 0x0A, "0xA: wrong tag", "address freed",                                  \
      "allocated by: MALL, NEW, NEW[ or POOL", "freed by: the same words",                                             \
      "A block was freed by a function that does not belong to the one that allocated it",                             \
      "free goes with malloc, delete with new, delete[] with new[], tagpool_free with tagpool_alloc.")                 \
    X(CALLER_WRONG_SIZE, SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION, 4, 0x21, "address freed", "size given",              \
      "size asked for",                                                                                                \
      "0x21: bad size",                                                                                                \
      "A block was freed as one of another size than it was allocated with",                                           \
      "Delete an object by a pointer to its own type, or give its class a virtual destructor.")

#endif
