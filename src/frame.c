#include "frame.h"

#include <dlfcn.h>
#include <string.h>
#include <ucontext.h>

/*
 * DWARF register numbers, and where the kernel's frame around a signal handler keeps them: on x86-64 the stack pointer
 * is at the context after the handler's return, on aarch64 at the information that stands before it.
 */
#if defined(__x86_64__)
enum { FRAME_REG_FP = 6, FRAME_REG_SP = 7, FRAME_REG_RETURN = 16 };
#define FRAME_CONTEXT(field) offsetof(ucontext_t, uc_mcontext.gregs[field])
enum {
    FRAME_SIGNAL_PC = FRAME_CONTEXT(REG_RIP),
    FRAME_SIGNAL_SP = FRAME_CONTEXT(REG_RSP),
    FRAME_SIGNAL_FP = FRAME_CONTEXT(REG_RBP),
};
#define FRAME_HERE(pc, sp, fp)                                                                                         \
    __asm__ volatile("leaq 0f(%%rip), %0\n0:\tmovq %%rsp, %1\n\tmovq %%rbp, %2" : "=r"(pc), "=r"(sp), "=r"(fp))
#elif defined(__aarch64__)
enum { FRAME_REG_FP = 29, FRAME_REG_SP = 31, FRAME_REG_RETURN = 30 };
#define FRAME_CONTEXT(field) (sizeof(siginfo_t) + offsetof(ucontext_t, uc_mcontext.field))
enum {
    FRAME_SIGNAL_PC = FRAME_CONTEXT(pc),
    FRAME_SIGNAL_SP = FRAME_CONTEXT(sp),
    FRAME_SIGNAL_FP = FRAME_CONTEXT(regs[29]),
};
#define FRAME_HERE(pc, sp, fp)                                                                                         \
    __asm__ volatile("adr %0, 0f\n0:\tmov %1, sp\n\tmov %2, x29" : "=r"(pc), "=r"(sp), "=r"(fp))
#endif

/* A cursor over unwind data; reads past the end give zeros and set `bad`. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

static void read_bytes(struct reader *r, void *to, size_t size)
{
    memset(to, 0, size);
    if ((size_t)(r->end - r->at) < size) {
        r->bad = true;
        return;
    }
    memcpy(to, r->at, size);
    r->at += size;
}

static uint64_t read_fixed(struct reader *r, size_t size)
{
    uint64_t value = 0;
    read_bytes(r, &value, size);
    return value;
}

static uint64_t read_uleb(struct reader *r)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = (uint8_t)read_fixed(r, 1);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            break;
    }
    return value;
}

static int64_t read_sleb(struct reader *r)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = (uint8_t)read_fixed(r, 1);
        value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while ((byte & 0x80) != 0 && shift < 63);
    if ((byte & 0x40) != 0 && shift < 64)
        value |= ~UINT64_C(0) << shift;
    return (int64_t)value;
}

/* A block of bytes behind its length. */
static struct reader read_block(struct reader *r)
{
    uint64_t length = read_uleb(r);
    if (length > (uint64_t)(r->end - r->at))
        r->bad = true;
    struct reader block = {r->at, r->bad ? r->at : r->at + length, r->bad};
    r->at = block.end;
    return block;
}

/* An address in one of the DW_EH_PE encodings that compilers emit: absolute or relative to its own place. */
static uintptr_t read_encoded(struct reader *r, uint8_t encoding)
{
    uintptr_t here = (uintptr_t)r->at;
    int64_t value;
    switch (encoding & 0x0f) {
    case 0x00: case 0x04: case 0x0c: value = (int64_t)read_fixed(r, 8); break;
    case 0x02: value = (int64_t)read_fixed(r, 2); break;
    case 0x0a: value = (int16_t)read_fixed(r, 2); break;
    case 0x03: value = (int64_t)read_fixed(r, 4); break;
    case 0x0b: value = (int32_t)read_fixed(r, 4); break;
    default: r->bad = true; return 0;
    }
    return (encoding & 0x70) == 0x10 ? here + (uintptr_t)value : (uintptr_t)value;
}

/* --- the entry of a function ---------------------------------------------------------------------------------- */

/* A binary search table of (function, entry), both as 32-bit distances from its own section. */
#define HEADER_TABLE_ENCODING 0x3b

static const uint8_t *frame_find_entry(const uint8_t *header, uintptr_t pc)
{
    struct reader r = {header + 4, header + 4 + 20, false};
    if (header[0] != 1 || header[3] != HEADER_TABLE_ENCODING)
        return NULL;
    read_encoded(&r, header[1]);
    uint64_t count = read_encoded(&r, header[2]);
    const int32_t *table = (const int32_t *)(uintptr_t)r.at;
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((uintptr_t)header + (uintptr_t)(intptr_t)table[2 * middle] <= pc)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 || r.bad ? NULL : header + table[2 * (low - 1) + 1];
}

/* A function's entry (FDE) and what it shares with others (CIE), taken apart. */
struct entry {
    uintptr_t start;
    uintptr_t size;
    uint64_t code_align;
    int64_t data_align;
    uint64_t return_reg;
    bool is_signal;
    struct reader shared_program;
    struct reader own_program;
};

static struct reader frame_open(const uint8_t *at)
{
    uint32_t length;
    memcpy(&length, at, sizeof(length));
    struct reader r = {at + 4, at + 4, length == 0 || length == 0xffffffff};
    if (!r.bad)
        r.end += length;
    return r;
}

static uint8_t frame_read_shared(struct entry *entry, const uint8_t *at)
{
    struct reader r = frame_open(at);
    uint8_t encoding = 0;
    read_fixed(&r, 4); /* id */
    uint8_t version = (uint8_t)read_fixed(&r, 1);
    const char *augmentation = (const char *)r.at;
    r.at += strlen(augmentation) + 1;
    entry->code_align = read_uleb(&r);
    entry->data_align = read_sleb(&r);
    entry->return_reg = version == 1 ? read_fixed(&r, 1) : read_uleb(&r);
    uint64_t length = augmentation[0] == 'z' ? read_uleb(&r) : 0;
    const uint8_t *program = r.at + length;
    for (const char *c = augmentation + (augmentation[0] == 'z'); *c != '\0'; c++) {
        if (*c == 'R')
            encoding = (uint8_t)read_fixed(&r, 1);
        else if (*c == 'L')
            read_fixed(&r, 1);
        else if (*c == 'P')
            read_encoded(&r, (uint8_t)read_fixed(&r, 1));
        else if (*c == 'S')
            entry->is_signal = true;
    }
    entry->shared_program = (struct reader){program, r.end, r.bad || augmentation[0] != 'z'};
    return encoding;
}

static bool frame_read_entry(struct entry *entry, const uint8_t *at)
{
    struct reader r = frame_open(at);
    const uint8_t *shared = r.at;
    shared -= (uint32_t)read_fixed(&r, 4);
    if (r.bad)
        return false;
    uint8_t encoding = frame_read_shared(entry, shared);
    entry->start = read_encoded(&r, encoding);
    entry->size = read_encoded(&r, encoding & 0x0f);
    uint64_t length = read_uleb(&r);
    r.at += length;
    entry->own_program = r;
    return !r.bad && !entry->shared_program.bad && r.at <= r.end;
}

/* --- its program ---------------------------------------------------------------------------------------------- */

/* How an expression gives a value; of all that there could be, what compilers emit for frames they align themselves. */
enum form { FORM_OFFSET, FORM_SLOT, FORM_OTHER };

/* What a row of the unwind table says of the three things we follow. */
struct row {
    uint64_t cfa_reg;
    int64_t cfa_offset;
    int64_t return_offset;
    int64_t fp_offset; /* 0: not saved */
    enum form cfa_form; /* FORM_SLOT: the word at cfa_offset from the frame pointer */
    enum form fp_form;  /* FORM_SLOT: the word that the frame pointer points to */
    bool is_outermost;
};

enum { ROW_STACK = 8 };

/* Operations of expressions. */
enum { DW_OP_DEREF = 0x06, DW_OP_BREG0 = 0x70 };

struct machine {
    const struct entry *entry;
    struct row row;
    struct row initial;
    struct row stack[ROW_STACK];
    unsigned depth;
    uintptr_t location;
    uintptr_t pc;
};

static void machine_set_fp(struct machine *m, enum form form, int64_t offset)
{
    m->row.fp_form = form;
    m->row.fp_offset = offset;
}

static void machine_offset(struct machine *m, uint64_t reg, int64_t factored)
{
    int64_t offset = factored * m->entry->data_align;
    if (reg == m->entry->return_reg)
        m->row.return_offset = offset;
    else if (reg == FRAME_REG_FP)
        machine_set_fp(m, FORM_OFFSET, offset);
}

static void machine_restore(struct machine *m, uint64_t reg)
{
    if (reg == m->entry->return_reg)
        m->row.return_offset = m->initial.return_offset;
    else if (reg == FRAME_REG_FP)
        machine_set_fp(m, m->initial.fp_form, m->initial.fp_offset);
}

/* No return address: the outermost function says so. */
static void machine_undefine(struct machine *m, uint64_t reg)
{
    if (reg == m->entry->return_reg)
        m->row.is_outermost = true;
}

/* "The frame pointer plus offset", then nothing, or `last` alone. */
static bool machine_is_from_fp(struct reader *block, uint8_t last, int64_t *offset)
{
    bool is_fp = read_fixed(block, 1) == DW_OP_BREG0 + FRAME_REG_FP;
    *offset = read_sleb(block);
    if (last != 0 && read_fixed(block, 1) != last)
        return false;
    return is_fp && !block->bad && block->at == block->end;
}

/* The register is kept at the address that an expression gives. */
static void machine_express(struct machine *m, uint64_t reg, struct reader block)
{
    int64_t offset;
    if (reg == m->entry->return_reg)
        m->row.return_offset = 0;
    else if (reg == FRAME_REG_FP)
        machine_set_fp(m, machine_is_from_fp(&block, 0, &offset) && offset == 0 ? FORM_SLOT : FORM_OTHER, 0);
}

static void machine_define_by_expression(struct machine *m, struct reader block)
{
    m->row.cfa_form = machine_is_from_fp(&block, DW_OP_DEREF, &m->row.cfa_offset) ? FORM_SLOT : FORM_OTHER;
}

/* The register's value is what an expression gives, not what is kept there. */
static void machine_express_value(struct machine *m, uint64_t reg)
{
    if (reg == m->entry->return_reg)
        m->row.return_offset = 0;
    else if (reg == FRAME_REG_FP)
        machine_set_fp(m, FORM_OTHER, 0);
}

static void machine_remember(struct machine *m, struct reader *r)
{
    if (m->depth == ROW_STACK)
        r->bad = true;
    else
        m->stack[m->depth++] = m->row;
}

static void machine_recall(struct machine *m, struct reader *r)
{
    if (m->depth == 0)
        r->bad = true;
    else
        m->row = m->stack[--m->depth];
}

static void machine_define(struct machine *m, uint64_t reg, int64_t offset)
{
    m->row.cfa_reg = reg;
    m->row.cfa_offset = offset;
    m->row.cfa_form = FORM_OFFSET;
}

/* Operations with a whole byte of their own (DWARF 5, 7.24). */
static void machine_extended(struct machine *m, struct reader *r, uint8_t op)
{
    uint64_t reg;
    switch (op) {
    case 0x00: break;
    case 0x02: m->location += read_fixed(r, 1) * m->entry->code_align; break;
    case 0x03: m->location += read_fixed(r, 2) * m->entry->code_align; break;
    case 0x04: m->location += read_fixed(r, 4) * m->entry->code_align; break;
    case 0x05: reg = read_uleb(r); machine_offset(m, reg, (int64_t)read_uleb(r)); break;
    case 0x06: machine_restore(m, read_uleb(r)); break;
    case 0x07: machine_undefine(m, read_uleb(r)); break;
    case 0x08: read_uleb(r); break;
    case 0x09: read_uleb(r); read_uleb(r); break;
    case 0x0a: machine_remember(m, r); break;
    case 0x0b: machine_recall(m, r); break;
    case 0x0c: reg = read_uleb(r); machine_define(m, reg, (int64_t)read_uleb(r)); break;
    case 0x0d: m->row.cfa_reg = read_uleb(r); break;
    case 0x0e: m->row.cfa_offset = (int64_t)read_uleb(r); break;
    case 0x0f: machine_define_by_expression(m, read_block(r)); break;
    case 0x10: reg = read_uleb(r); machine_express(m, reg, read_block(r)); break;
    case 0x11: reg = read_uleb(r); machine_offset(m, reg, read_sleb(r)); break;
    case 0x12: reg = read_uleb(r); machine_define(m, reg, read_sleb(r) * m->entry->data_align); break;
    case 0x13: m->row.cfa_offset = read_sleb(r) * m->entry->data_align; break;
    case 0x16: machine_express_value(m, read_uleb(r)); read_block(r); break;
    case 0x2d: break; /* return address signing, aarch64 */
    case 0x2e: read_uleb(r); break;
    default: r->bad = true; break;
    }
}

static void machine_run(struct machine *m, struct reader *r)
{
    while (r->at < r->end && !r->bad && m->location <= m->pc) {
        uint8_t op = (uint8_t)read_fixed(r, 1);
        uint8_t low = op & 0x3f;
        if (op >> 6 == 1)
            m->location += low * m->entry->code_align;
        else if (op >> 6 == 2)
            machine_offset(m, low, (int64_t)read_uleb(r));
        else if (op >> 6 == 3)
            machine_restore(m, low);
        else
            machine_extended(m, r, op);
    }
}

/* An advance that passes pc ends the program, but what stood before it holds. */
static bool frame_run(const struct entry *entry, uintptr_t pc, struct row *row)
{
    struct machine m = {.entry = entry, .location = entry->start, .pc = pc};
    struct reader shared = entry->shared_program;
    struct reader own = entry->own_program;
    machine_run(&m, &shared);
    m.initial = m.row;
    machine_run(&m, &own);
    *row = m.row;
    return !shared.bad && !own.bad;
}

static uint8_t frame_base(const struct row *row)
{
    if (row->is_outermost)
        return TP_FRAME_OUTERMOST;
    if (row->cfa_form == FORM_SLOT && row->fp_form == FORM_SLOT)
        return TP_FRAME_FROM_SLOT;
    if (row->cfa_form != FORM_OFFSET || row->fp_form != FORM_OFFSET)
        return TP_FRAME_UNKNOWN;
    if (row->cfa_reg == FRAME_REG_SP)
        return TP_FRAME_FROM_SP;
    return row->cfa_reg == FRAME_REG_FP ? TP_FRAME_FROM_FP : TP_FRAME_UNKNOWN;
}

static struct tp_frame_rule frame_pack(const struct row *row)
{
    struct tp_frame_rule rule = {.base = frame_base(row)};
    if (rule.base == TP_FRAME_OUTERMOST)
        return rule;
    if (row->return_offset >= 0 || row->return_offset < INT16_MIN || row->cfa_offset != (int32_t)row->cfa_offset ||
        row->fp_offset > 0 || row->fp_offset / 8 < INT8_MIN)
        return (struct tp_frame_rule){.base = TP_FRAME_UNKNOWN};
    rule.cfa_offset = (int32_t)row->cfa_offset;
    rule.return_offset = (int16_t)row->return_offset;
    rule.fp_slot = (int8_t)(row->fp_offset / 8);
    return rule;
}

/* --- the interface -------------------------------------------------------------------------------------------- */

struct tp_frame_rule tp_frame_rule_at(uintptr_t pc)
{
    const struct tp_frame_rule unknown = {.base = TP_FRAME_UNKNOWN};
    struct dl_find_object object;
    struct entry entry = {.is_signal = false};
    struct row row;
    /* A return address may lie behind the last instruction of its function: look at the call. */
    if (_dl_find_object((void *)(pc - 1), &object) != 0 || object.dlfo_eh_frame == NULL)
        return unknown;
    const uint8_t *at = frame_find_entry(object.dlfo_eh_frame, pc - 1);
    if (at == NULL || !frame_read_entry(&entry, at) || pc - 1 - entry.start >= entry.size)
        return unknown;
    if (entry.is_signal)
        return (struct tp_frame_rule){.base = TP_FRAME_SIGNAL};
    return frame_run(&entry, pc - 1, &row) ? frame_pack(&row) : unknown;
}

bool tp_frame_step(struct tp_frame *frame, struct tp_frame_rule rule)
{
    struct tp_extent everywhere = {.begin = 0, .end = UINTPTR_MAX, .is_whole = true};
    return tp_frame_step_within(&everywhere, frame, rule);
}

bool tp_frame_leave_signal(struct tp_extent *extent, struct tp_frame *frame)
{
    uintptr_t pc, sp, fp;
    if (!tp_extent_read(extent, frame->sp + FRAME_SIGNAL_PC, &pc) ||
        !tp_extent_read(extent, frame->sp + FRAME_SIGNAL_SP, &sp) ||
        !tp_extent_read(extent, frame->sp + FRAME_SIGNAL_FP, &fp))
        return false;
    *frame = (struct tp_frame){pc + 1, sp, fp, true};
    return true;
}

/* Frames of ours between here and the entry function, at most. */
#define FRAME_OWN_MAX 16

TP_NOINLINE bool tp_frame_recover_fp(const struct tp_call *call, struct tp_frame_rule (*rule_at)(uintptr_t pc),
                                     uintptr_t *fp)
{
    struct tp_frame frame = {.fp_known = true};
    FRAME_HERE(frame.pc, frame.sp, frame.fp);
    frame.pc++; /* a return address is looked up one below itself */
    for (int i = 0; i < FRAME_OWN_MAX; i++) {
        if (frame.pc == call->pc && frame.sp == call->sp) {
            *fp = frame.fp;
            return true;
        }
        if (frame.sp > call->sp || !tp_frame_step(&frame, rule_at(frame.pc)))
            return false;
    }
    return false;
}
