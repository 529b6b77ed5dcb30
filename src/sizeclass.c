#include "sizeclass.h"

struct tp_class_table tp_class_tables[TP_TABLE_COUNT];

static void table_add(struct tp_class_table *table, size_t size)
{
    table->size[table->count] = (uint32_t)size;
    table->reciprocal[table->count] = ((UINT64_C(1) << TP_CLASS_SHIFT) + size - 1) / size;
    table->count++;
}

static void table_fill_packed(struct tp_class_table *table)
{
    for (size_t size = 16; size <= 128; size += 16)
        table_add(table, size);
    for (size_t base = 128; base < 1024; base *= 2)
        for (size_t size = base + base / 8; size <= base * 2; size += base / 8)
            table_add(table, size);
    for (size_t base = 1024; base < TP_CLASS_MAX_SIZE; base *= 2)
        for (size_t size = base + base / 4; size <= base * 2; size += base / 4)
            table_add(table, size);
}

static void table_fill_pool(struct tp_class_table *table)
{
    size_t last = 0;
    for (size_t blocks = TP_OS_PAGE / 16; blocks >= 2; blocks--) {
        size_t size = TP_OS_PAGE / blocks / 16 * 16;
        if (size != last)
            table_add(table, size);
        last = size;
    }
    for (size_t pages = 1; pages <= 8; pages++)
        table_add(table, pages * TP_OS_PAGE);
    for (size_t base = 8; base * TP_OS_PAGE < TP_CLASS_MAX_SIZE; base *= 2)
        for (size_t pages = base + base / 4; pages <= base * 2; pages += base / 4)
            table_add(table, pages * TP_OS_PAGE);
}

static void table_index(struct tp_class_table *table)
{
    unsigned class = 0;
    for (size_t step = 0; step < TP_CLASS_SMALL_STEPS; step++) {
        while (table->size[class] < step * 16)
            class++;
        table->small[step] = (uint8_t)class;
    }
    class = 0;
    for (size_t step = 0; step < TP_CLASS_MEDIUM_STEPS; step++) {
        while (table->size[class] < step * 256)
            class++;
        table->medium[step] = (uint8_t)class;
    }
}

void tp_sizeclass_init(void)
{
    table_fill_packed(&tp_class_tables[TP_TABLE_PACKED]);
    table_fill_pool(&tp_class_tables[TP_TABLE_POOL]);
    for (int id = 0; id < TP_TABLE_COUNT; id++)
        table_index(&tp_class_tables[id]);
}

unsigned tp_class_of_aligned(const struct tp_class_table *table, size_t size, size_t alignment)
{
    if (size > TP_CLASS_MAX_SIZE || alignment > TP_UNIT)
        return TP_CLASS_LIMIT;
    for (unsigned class = tp_class_of(table, size); class < table->count; class++)
        if (table->size[class] % alignment == 0)
            return class;
    return TP_CLASS_LIMIT;
}

unsigned tp_class_units(size_t block_size)
{
    if (block_size <= 2 * TP_KIB)
        return 1;
    return block_size <= 16 * TP_KIB ? 4 : 8;
}
