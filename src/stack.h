#ifndef TP_STACK_H
#define TP_STACK_H
#include "site.h"
unsigned tp_stack_capture(const struct tp_call *call, uintptr_t *frames, unsigned most);
unsigned tp_stack_capture_context(const void *context, uintptr_t *frames, unsigned most);
unsigned tp_stack_get(uint32_t number, const uintptr_t **frames);
#endif
