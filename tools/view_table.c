/*
 * The two text layouts.
 *
 * default   sqlite3 (1234)  RSS 912M = tagged 610M + allocator 40M + not ours (mmap, stacks, files) 262M
 *           NAME                LIVE     %      +/s  BLOCKS  ALLOC/s    PEAK
 *           libsqlite3.so.0     580M  95.1    +1.2M    812K     5210    600M
 *
 * classic   the layout of the original PoolMon, column for column
 */
#include "label.h"
#include "memory.h"
#include "units.h"
#include "view.h"

#include <stdlib.h>
#include <string.h>

/* One process's pools as a layout is to show them. */
struct table {
    struct view_page *page;
    const struct snapshot *snapshot;
    const struct accounts *accounts;
    const struct host *host;
    const struct view_options *options;
    const struct pool **pools;
    size_t count;
    size_t name_columns;
};

struct table_layout {
    enum selection_sort sort; /* where the user chose none */
    void (*head)(const struct table *table);
    void (*row)(const struct table *table, const struct pool *pool);
    void (*total)(const struct table *table, enum pool_kind kind, const struct pool *sum);
};

/* Lines that are filled with pieces of text, on a terminal only as far as they fit. */
struct table_filler {
    const struct table *table;
    char *line;
    enum view_style style; /* of the line being filled */
};

static bool table_fits(const struct table *table, const char *text)
{
    return table->options->columns == 0 || label_width(text) <= table->options->columns;
}

static void filler_add(struct table_filler *filler, const char *piece)
{
    char *longer = memory_format("%s%s", filler->line, piece);
    if (table_fits(filler->table, longer)) {
        free(filler->line);
        filler->line = longer;
        return;
    }
    free(longer);
    view_page_add(filler->table->page, filler->style, filler->line);
    filler->line = memory_copy_text(piece);
    filler->style = VIEW_PLAIN;
}

/* The title, takes it over, and behind it what else there is to say of the process. */
static void table_add_title(const struct table *table, char *title, const char *rest)
{
    struct table_filler filler = {.table = table, .line = title, .style = VIEW_TITLE};
    char buffer[128];
    const char *note;
    filler_add(&filler, rest);
    for (size_t n = 0; (note = snapshot_note(table->accounts, n, buffer, sizeof(buffer))) != NULL; n++) {
        char *piece = memory_format("  [%s]", note);
        filler_add(&filler, piece);
        free(piece);
    }
    view_page_add(table->page, filler.style, filler.line);
}

static enum view_style table_style(const struct table *table, const struct pool *pool)
{
    static const struct pool_change none;
    bool changed = table->accounts->has_change && memcmp(&pool->change, &none, sizeof(none)) != 0;
    return changed && !table->options->no_highlight ? VIEW_CHANGED : VIEW_PLAIN;
}

/* ---- default layout ---- */

/* All columns but the first: two blanks and six, five, ... characters. */
#define TABLE_NUMBERS_FORMAT "  %6s  %5s  %7s  %6s  %7s  %6s"
#define TABLE_NUMBERS_COLUMNS 49
#define TABLE_NAME_MIN 16
#define TABLE_NAME_MAX 60

/* The programmer's own tag is shown beside its name; kinds differ by a word, since most programs have but one. */
static char *table_pool_name(const struct pool *pool)
{
    char tag[LABEL_TAG];
    const char *kind = pool->kind == POOL_NONPAGED ? " nonpaged" : "";
    const char *moved = pool->moved ? " ~" : "";
    label_tag(tag, pool->tag);
    if (pool->is_api && strcmp(tag, pool->name) != 0)
        return memory_format("%s %s%s%s", tag, pool->name, kind, moved);
    return memory_format("%s%s%s", pool->name, kind, moved);
}

static size_t table_name_columns(const struct table *table)
{
    size_t columns = TABLE_NAME_MIN, most = TABLE_NAME_MAX;
    for (size_t i = 0; i < table->count; i++) {
        char *name = table_pool_name(table->pools[i]);
        size_t width = label_width(name);
        columns = width > columns ? width : columns;
        free(name);
    }
    if (table->options->columns > TABLE_NAME_MIN + TABLE_NUMBERS_COLUMNS)
        most = table->options->columns - TABLE_NUMBERS_COLUMNS;
    else if (table->options->columns != 0)
        most = TABLE_NAME_MIN;
    return columns < most ? columns : most;
}

static char *table_default_title(const struct table *table, const char *explanation)
{
    const struct accounts *accounts = table->accounts;
    char rss[UNITS_TEXT], tagged[UNITS_TEXT], allocator[UNITS_TEXT], other[UNITS_TEXT];
    return memory_format("%s (%d)  RSS %s = tagged %s + allocator %s + not ours%s %s", accounts->program,
                         (int)accounts->pid, units_bytes(rss, accounts->rss_bytes),
                         units_bytes(tagged, accounts->tagged_bytes), units_bytes(allocator, accounts->allocator_bytes),
                         explanation, units_bytes(other, accounts->other_bytes));
}

static void table_add_default_title(const struct table *table)
{
    char *title = table_default_title(table, " (mmap, stacks, files)");
    if (!table_fits(table, title)) {
        free(title);
        title = table_default_title(table, "");
    }
    char untouched[UNITS_TEXT], rest[2 * UNITS_TEXT] = "";
    if (table->accounts->untouched_bytes != 0)
        snprintf(rest, sizeof(rest), " - untouched %s", units_bytes(untouched, table->accounts->untouched_bytes));
    table_add_title(table, title, rest);
}

/* A name padded to its column, and the numbers behind it. */
static char *table_line(const struct table *table, const char *name, const char *numbers)
{
    char *line = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&line, &size);
    if (out == NULL)
        return memory_copy_text("");
    label_put(out, name, table->name_columns);
    fputs(numbers, out);
    fclose(out);
    return line;
}

static void table_default_head(const struct table *table)
{
    char *numbers = memory_format(TABLE_NUMBERS_FORMAT, "LIVE", "%", "+/s", "BLOCKS", "ALLOC/s", "PEAK");
    table_add_default_title(table);
    view_page_add(table->page, VIEW_HEAD, table_line(table, "NAME", numbers));
    free(numbers);
}

/* Per second; "-" where there is nothing to compare with. */
static const char *table_rate(const struct table *table, char out[UNITS_TEXT], int64_t change,
                              const char *(*format)(char out[UNITS_TEXT], int64_t number))
{
    if (!table->accounts->has_change || table->snapshot->seconds <= 0)
        return "-";
    return format(out, (int64_t)((double)change / table->snapshot->seconds));
}

static const char *table_plain_count(char out[UNITS_TEXT], int64_t count)
{
    return units_count(out, count > 0 ? (uint64_t)count : 0);
}

static char *table_default_numbers(const struct table *table, const struct pool *pool, const char *peak)
{
    char live[UNITS_TEXT], share[UNITS_TEXT], growth[UNITS_TEXT], blocks[UNITS_TEXT], rate[UNITS_TEXT];
    uint64_t all = table->accounts->tagged_bytes;
    snprintf(share, sizeof(share), "%.1f", all != 0 ? 100.0 * (double)pool->bytes / (double)all : 0.0);
    return memory_format(TABLE_NUMBERS_FORMAT, units_bytes(live, pool->bytes), share,
                         table_rate(table, growth, pool->change.bytes, units_change_bytes),
                         units_count(blocks, pool->diff),
                         table_rate(table, rate, pool->change.allocs, table_plain_count), peak);
}

static void table_default_row(const struct table *table, const struct pool *pool)
{
    char peak[UNITS_TEXT];
    char *name = table_pool_name(pool);
    char *numbers = table_default_numbers(table, pool, units_bytes(peak, pool->peak_bytes));
    view_page_add(table->page, table_style(table, pool), table_line(table, name, numbers));
    free(name);
    free(numbers);
}

/* Tags reach their peaks at different times, so a sum of them would be the peak of nothing. */
static void table_default_total(const struct table *table, enum pool_kind kind, const struct pool *sum)
{
    char *numbers = table_default_numbers(table, sum, "-");
    const char *name = kind == POOL_PAGED ? "TOTAL" : "TOTAL nonpaged";
    view_page_add(table->page, VIEW_PLAIN, table_line(table, name, numbers));
    free(numbers);
}

/* ---- classic layout ---- */

/* The tag with its blanks takes six columns, as " Wait " or "TOTAL ". */
#define CLASSIC_ROW "%s%-5s %9llu (%4lld) %9llu (%4lld) %8llu %7llu (%6lld) %6llu"
#define CLASSIC_HEAD " Tag  Type     Allocs            Frees            Diff   Bytes       Per Alloc"
#define CLASSIC_MEMORY " Memory:%8lluK Avail:%8lluK  PageFlts:%6llu   InRam Krnl:%5lluK P:%5lluK"
#define CLASSIC_COMMIT " Commit:%7lluK Limit:%7lluK Peak:%7lluK            Pool N:%5lluK P:%5lluK"

typedef unsigned long long ull;

static const char *const table_kind_names[] = {[POOL_NONPAGED] = "Nonp", [POOL_PAGED] = "Paged"};

static ull table_kind_kib(const struct accounts *accounts, enum pool_kind kind)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < accounts->pool_count; i++)
        if (accounts->pools[i].kind == kind)
            bytes += accounts->pools[i].bytes;
    return bytes / 1024;
}

/* The two lines that a snapshot file and the classic screen share. */
static void table_classic_memory(struct view_page *page, const struct accounts *accounts, const struct host *host)
{
    uint64_t unlocked = accounts->touched_bytes - accounts->locked_bytes;
    uint64_t pageable = accounts->touched_bytes > accounts->locked_bytes ? unlocked : 0;
    view_page_add(page, VIEW_PLAIN,
                  memory_format(CLASSIC_MEMORY, (ull)host->total_kib, (ull)host->available_kib, (ull)host->faults,
                                (ull)host->kernel_kib, (ull)pageable / 1024));
    view_page_add(page, VIEW_PLAIN,
                  memory_format(CLASSIC_COMMIT, (ull)host->commit_kib, (ull)host->commit_limit_kib,
                                (ull)host->commit_peak_kib, table_kind_kib(accounts, POOL_NONPAGED),
                                table_kind_kib(accounts, POOL_PAGED)));
}

static void table_classic_head(const struct table *table)
{
    const struct accounts *accounts = table->accounts;
    table_classic_memory(table->page, accounts, table->host);
    table_add_title(table, memory_format(" %s (%d) pool information", accounts->program, (int)accounts->pid), "");
    view_page_add(table->page, VIEW_HEAD, memory_copy_text(CLASSIC_HEAD));
    view_page_add(table->page, VIEW_PLAIN, memory_copy_text(""));
}

static char *table_classic_line(const char *tag_column, const struct pool *pool)
{
    const struct pool_change *change = &pool->change;
    return memory_format(CLASSIC_ROW, tag_column, table_kind_names[pool->kind], (ull)pool->allocs,
                         (long long)change->allocs, (ull)pool->frees, (long long)change->frees, (ull)pool->diff,
                         (ull)pool->bytes, (long long)change->bytes, (ull)pool->per_alloc);
}

static void table_classic_row(const struct table *table, const struct pool *pool)
{
    char tag[LABEL_TAG], column[8];
    snprintf(column, sizeof(column), " %-4s ", label_tag(tag, pool->tag));
    view_page_add(table->page, table_style(table, pool), table_classic_line(column, pool));
}

static void table_classic_total(const struct table *table, enum pool_kind kind, const struct pool *sum)
{
    (void)kind;
    view_page_add(table->page, VIEW_PLAIN, table_classic_line("TOTAL ", sum));
}

/* ---- both ---- */

static const struct table_layout table_layouts[] = {
    [LAYOUT_DEFAULT] = {SORT_BYTES, table_default_head, table_default_row, table_default_total},
    [LAYOUT_CLASSIC] = {SORT_TAG, table_classic_head, table_classic_row, table_classic_total},
};

static size_t table_sum_up(const struct table *table, enum pool_kind kind, struct pool *sum)
{
    size_t rows = 0;
    memset(sum, 0, sizeof(*sum));
    sum->kind = kind;
    for (size_t i = 0; i < table->count; i++) {
        const struct pool *pool = table->pools[i];
        if (pool->kind != kind)
            continue;
        rows++;
        sum->allocs += pool->allocs;
        sum->frees += pool->frees;
        sum->diff += pool->diff;
        sum->bytes += pool->bytes;
        sum->change.allocs += pool->change.allocs;
        sum->change.frees += pool->change.frees;
        sum->change.bytes += pool->change.bytes;
    }
    sum->per_alloc = sum->diff != 0 ? sum->bytes / sum->diff : 0;
    return rows;
}

static void table_totals(const struct table *table, const struct table_layout *layout)
{
    struct pool sum;
    for (int kind = POOL_NONPAGED; kind <= POOL_PAGED; kind++)
        if (table_sum_up(table, (enum pool_kind)kind, &sum) != 0)
            layout->total(table, (enum pool_kind)kind, &sum);
}

static void table_process(struct table *table)
{
    const struct table_layout *layout = &table_layouts[table->options->layout];
    table->pools =
        selection_make(&table->options->selection, table->accounts, layout->sort, &table->count);
    table->name_columns = table_name_columns(table);
    layout->head(table);
    for (size_t i = 0; i < table->count; i++)
        layout->row(table, table->pools[i]);
    if (table->options->totals)
        table_totals(table, layout);
    free(table->pools);
}

void view_table(struct view_page *page, const struct snapshot *snapshot, const struct host *host,
                const struct view_options *options)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        struct table table = {
            .page = page,
            .snapshot = snapshot,
            .accounts = &snapshot->items[i],
            .host = host,
            .options = options,
        };
        if (i > 0)
            view_page_add(page, VIEW_PLAIN, memory_copy_text(""));
        table_process(&table);
    }
}

/* ---- the original's snapshot file ---- */

#define FILE_HEAD " Tag  Type     Allocs         Frees    Diff   Bytes    Per Alloc"
#define FILE_ROW " %-4s %-5s%10llu%10llu%10llu %8llu%11llu\n"

static void table_write_file(FILE *out, const struct accounts *accounts, const struct host *host,
                             const struct view_options *options)
{
    struct view_page page = {NULL, 0};
    char tag[LABEL_TAG];
    size_t count;
    const struct pool **pools = selection_make(&options->selection, accounts, SORT_TAG, &count);
    table_classic_memory(&page, accounts, host);
    view_page_print(&page, out);
    view_page_free(&page);
    fprintf(out, "\n%s\n\n", FILE_HEAD);
    for (size_t i = 0; i < count; i++)
        fprintf(out, FILE_ROW, label_tag(tag, pools[i]->tag), table_kind_names[pools[i]->kind], (ull)pools[i]->allocs,
                (ull)pools[i]->frees, (ull)pools[i]->diff, (ull)pools[i]->bytes, (ull)pools[i]->per_alloc);
    free(pools);
}

void view_file(FILE *out, const struct snapshot *snapshot, const struct host *host, const struct view_options *options)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        /* With one process the file is the original's to the letter; with more, each says whose it is. */
        if (snapshot->count > 1)
            fprintf(out, "%s %s (%d)\n", i > 0 ? "\n" : "", snapshot->items[i].program, (int)snapshot->items[i].pid);
        table_write_file(out, &snapshot->items[i], host, options);
    }
}
