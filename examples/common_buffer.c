/*
 * A driver and its device, which is simulated here: a ring of descriptors in one-page common buffers, and a larger one
 * for the data.
 *
 * Descriptors hold bus addresses, since the device knows no others.  Each page of the ring is a buffer of its own: they
 * need not be contiguous, and one buffer of all of them would want memory that is harder to get.  The data may lie in
 * several runs, so that a packet is described page by page.
 */
#include <tagpool.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING TAGPOOL_TAG('R', 'i', 'n', 'g')
#define DATA TAGPOOL_TAG('D', 'a', 't', 'a')

enum { PAGE = 4096, RING_PAGES = 8, DATA_PAGES = 64 };

struct descriptor {
    uint64_t address; /* as the device sees it */
    uint32_t length;
    uint32_t done;
};

struct driver {
    tagpool_common_buffer_t *ring[RING_PAGES];
    tagpool_common_buffer_t *data;
    unsigned moved;
};

static tagpool_common_buffer_t *buffer_or_exit(tagpool_tag_t tag, size_t size)
{
    const tagpool_common_buffer_options_t options = {.tag = tag, .size = size};
    tagpool_common_buffer_t *buffer = tagpool_common_buffer_alloc(&options);
    if (buffer == NULL) {
        perror("common buffer");
        exit(1);
    }
    return buffer;
}

static const char *bus_name(const tagpool_common_buffer_t *buffer)
{
    return tagpool_common_buffer_bus(buffer) == TAGPOOL_BUS_PHYSICAL ? "physical" : "virtual";
}

static uint64_t locked_bytes(tagpool_tag_t tag)
{
    struct tagpool_stats stats;
    return tagpool_stats(TAGPOOL_NONPAGED, tag, &stats) == 0 ? stats.bytes : 0;
}

/* --- the device ----------------------------------------------------------------------------------------------- */

/* What an IOMMU or the bus does: from a bus address to memory. */
static char *device_memory(const struct driver *driver, uint64_t address)
{
    tagpool_bus_run_t runs[DATA_PAGES];
    char *memory = tagpool_common_buffer_address(driver->data);
    size_t count = tagpool_common_buffer_runs(driver->data, runs, DATA_PAGES);
    for (size_t i = 0; i < count; memory += runs[i++].length)
        if (address - runs[i].address < runs[i].length)
            return memory + (address - runs[i].address);
    return NULL;
}

/* The device turns each byte of a packet round. */
static void device_work(const struct driver *driver, struct descriptor *descriptor)
{
    char *memory = device_memory(driver, descriptor->address);
    for (uint32_t i = 0; i < descriptor->length; i++)
        memory[i] = (char)~memory[i];
    descriptor->done = 1;
}

/* --- the driver ----------------------------------------------------------------------------------------------- */

/* The descriptor of a page of the data: they go round the pages of the ring. */
static struct descriptor *driver_descriptor(const struct driver *driver, unsigned page)
{
    struct descriptor *descriptors = tagpool_common_buffer_address(driver->ring[page % RING_PAGES]);
    return &descriptors[page / RING_PAGES];
}

/* Each run of bus addresses is cut into packets of a page. */
static void driver_describe(const struct driver *driver)
{
    tagpool_bus_run_t runs[DATA_PAGES];
    size_t count = tagpool_common_buffer_runs(driver->data, runs, DATA_PAGES);
    unsigned page = 0;
    for (size_t i = 0; i < count; i++)
        for (uint64_t done = 0; done < runs[i].length; done += PAGE)
            *driver_descriptor(driver, page++) =
                (struct descriptor){.address = runs[i].address + done, .length = PAGE, .done = 0};
}

/* After a transfer nothing may have been written behind a buffer, and physical addresses may be others. */
static void driver_flush(struct driver *driver)
{
    for (unsigned i = 0; i < RING_PAGES; i++)
        driver->moved += tagpool_common_buffer_flush(driver->ring[i]) == 1;
    driver->moved += tagpool_common_buffer_flush(driver->data) == 1;
}

static unsigned driver_transfer(struct driver *driver)
{
    char *data = tagpool_common_buffer_address(driver->data);
    unsigned damaged = 0;
    for (unsigned page = 0; page < DATA_PAGES; page++)
        memset(data + page * PAGE, (int)page, PAGE);
    driver_describe(driver);
    for (unsigned page = 0; page < DATA_PAGES; page++)
        device_work(driver, driver_descriptor(driver, page));
    driver_flush(driver);
    for (unsigned page = 0; page < DATA_PAGES; page++)
        damaged += !driver_descriptor(driver, page)->done || data[page * PAGE] != (char)~page ||
                   data[page * PAGE + PAGE - 1] != (char)~page;
    return damaged;
}

int main(void)
{
    struct driver driver = {.moved = 0};
    for (unsigned i = 0; i < RING_PAGES; i++)
        driver.ring[i] = buffer_or_exit(RING, PAGE);
    driver.data = buffer_or_exit(DATA, DATA_PAGES * PAGE);

    size_t runs = tagpool_common_buffer_runs(driver.data, NULL, 0);
    printf("ring %d buffers of one page  %s addresses  %" PRIu64 " bytes locked\n", RING_PAGES,
           bus_name(driver.ring[0]), locked_bytes(RING));
    printf("data %" PRIu64 " bytes  %s address  %zu run%s\n", locked_bytes(DATA), bus_name(driver.data), runs,
           runs == 1 ? "" : "s");
    unsigned damaged = driver_transfer(&driver);
    printf("%d packets of %d bytes went to the device and back  moved %u times  damaged %u\n", DATA_PAGES, PAGE,
           driver.moved, damaged);

    for (unsigned i = 0; i < RING_PAGES; i++)
        tagpool_common_buffer_free(driver.ring[i]);
    tagpool_common_buffer_free(driver.data);
    printf("still locked %" PRIu64 " bytes\n", locked_bytes(RING) + locked_bytes(DATA));
    return 0;
}
