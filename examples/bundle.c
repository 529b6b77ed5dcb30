/*
 * Packets, each with the times of its hops and its payload, as one block instead of three.
 *
 * First from the pool, with a payload of any length: one call, one block, one free.  Then with payloads of one length,
 * from a lookaside list: the list is told the bundle's size, and the parts are pointed into each block it hands out.
 */
#include <tagpool.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACKET TAGPOOL_TAG('P', 'a', 'c', 'k')

enum { HOPS = 12, PAYLOAD = 700, PACKETS = 10000 };

struct packet {
    uint64_t *hop_times;
    char *payload;
    uint32_t number;
};

static struct packet *packet_fill(struct packet *packet, uint64_t *hop_times, char *payload, uint32_t number)
{
    *packet = (struct packet){hop_times, payload, number};
    memset(hop_times, 0, HOPS * sizeof(hop_times[0]));
    payload[0] = (char)number;
    return packet;
}

/* --- from the pool -------------------------------------------------------------------------------------------- */

/* NULL when memory is exhausted. */
static struct packet *packet_alloc(uint32_t number, size_t length)
{
    struct packet *packet;
    uint64_t *hop_times;
    char *payload;
    const struct tagpool_bundle_part parts[] = {
        TAGPOOL_PART(packet, 1),
        TAGPOOL_PART(hop_times, HOPS),
        TAGPOOL_PART(payload, length),
    };
    if (tagpool_bundle_alloc(TAGPOOL_PAGED, PACKET, parts, 3) == NULL)
        return NULL;
    return packet_fill(packet, hop_times, payload, number);
}

static int use_pool(void)
{
    for (uint32_t i = 0; i < PACKETS; i++) {
        struct packet *packet = packet_alloc(i, 1 + i % 3000);
        if (packet == NULL)
            return -1;
        if (i == 99)
            printf("hop times at %td  payload at %td  block of %zu bytes\n", (char *)packet->hop_times - (char *)packet,
                   packet->payload - (char *)packet, tagpool_size(packet));
        tagpool_free(packet); /* all of it */
    }
    return 0;
}

/* --- from a lookaside list ------------------------------------------------------------------------------------ */

static tagpool_lookaside_t packets;

/* What the parts of a packet with the usual payload point to, and the parts. */
struct packet_layout {
    struct packet *packet;
    uint64_t *hop_times;
    char *payload;
    struct tagpool_bundle_part parts[3];
};

static struct packet_layout layout = {
    .parts = {TAGPOOL_PART(layout.packet, 1), TAGPOOL_PART(layout.hop_times, HOPS),
              TAGPOOL_PART(layout.payload, PAYLOAD)},
};

/* NULL when memory is exhausted. */
static struct packet *packet_from_list(uint32_t number)
{
    void *block = tagpool_lookaside_alloc(&packets);
    if (block == NULL)
        return NULL;
    tagpool_bundle_place(layout.parts, 3, block);
    return packet_fill(layout.packet, layout.hop_times, layout.payload, number);
}

static int use_list(void)
{
    const tagpool_lookaside_options_t options = {
        .kind = TAGPOOL_PAGED,
        .tag = PACKET,
        .size = tagpool_bundle_size(layout.parts, 3, NULL),
    };
    if (tagpool_lookaside_init(&packets, &options) != 0)
        return -1;
    for (uint32_t i = 0; i < PACKETS; i++) {
        struct packet *packet = packet_from_list(i);
        if (packet == NULL)
            return -1;
        tagpool_lookaside_free(&packets, packet);
    }
    printf("a list of blocks of %zu bytes  still out %zu\n", options.size, tagpool_lookaside_destroy(&packets));
    return 0;
}

int main(void)
{
    struct tagpool_stats stats;
    if (use_pool() != 0 || use_list() != 0 || tagpool_stats(TAGPOOL_PAGED, PACKET, &stats) != 0) {
        perror("packets");
        return 1;
    }
    printf("Pack  blocks %llu  live %llu\n", (unsigned long long)stats.allocs,
           (unsigned long long)(stats.allocs - stats.frees));
    return 0;
}
