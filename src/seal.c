#include "seal.h"
#include "os.h"

struct tp_seal_secrets tp_seal_secrets;

/* No byte of the pattern is zero, and the proof of zeros is not zeros: these are what is written by mistake most. */
void tp_seal_init(void)
{
    uint64_t random[4];
    tp_os_random(random, sizeof(random));
    tp_seal_secrets = (struct tp_seal_secrets){
        .pattern = (random[0] % 127 + 128) * UINT64_C(0x0101010101010101),
        .link = random[1],
        .proof = random[2] | 1,
        .seal = random[3],
        .on = 1,
    };
}

void tp_seal_draw_long(char *at, size_t bytes)
{
    memset(at, (uint8_t)tp_seal_secrets.pattern, bytes);
}

bool tp_seal_is_drawn_long(const char *at, size_t bytes)
{
    for (; bytes >= 8; at += 8, bytes -= 8)
        if (TP_UNLIKELY(tp_seal_load(at) != tp_seal_secrets.pattern))
            return false;
    return tp_seal_find_change(at, bytes) == at + bytes;
}

void tp_seal_close(char *block, size_t block_size, size_t size, unsigned face)
{
    size_t slop = block_size - size, bytes = tp_seal_pattern_bytes(slop);
    tp_seal_draw_long(block + size, bytes);
    tp_seal_write(block, block_size, slop, face);
}

void tp_seal_wipe(char *block, size_t block_size, uint32_t slop)
{
    if (block_size <= TP_SEAL_SHORT) {
        tp_seal_wipe_short(block, block_size);
        return;
    }
    memset(block, 0, block_size - slop + tp_seal_pattern_bytes(slop));
    memset(block + block_size - 8, 0, 8);
}

bool tp_seal_is_blank(const char *block, size_t block_size)
{
    if (block_size <= TP_SEAL_SHORT)
        return tp_seal_is_blank_short(block, block_size);
    return tp_seal_reads_zero(block + 16, block + tp_min(block_size, TP_SEAL_LOOKED)) &&
           tp_seal_reads_zero(block + block_size - 16, block + block_size);
}

const char *tp_seal_find_nonzero(const char *from, const char *to)
{
    while (from < to && *from == 0)
        from++;
    return from;
}

const char *tp_seal_find_change(const char *at, size_t bytes)
{
    const char *end = at + bytes;
    while (at < end && *(const uint8_t *)at == (uint8_t)tp_seal_secrets.pattern)
        at++;
    return at;
}
