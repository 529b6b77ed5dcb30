/*
 * The shared file: its layout, its name from publication to the end, and the places of the hot words (P5).
 */
#include "unit.h"

#include "os.h"
#include "page.h"
#include "segment.h"
#include "start.h"

#include <tagpool/tagpool.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAG TAGPOOL_TAG('S', 'e', 'g', 'm')

static const char *segment_path(pid_t pid)
{
    static char path[64];
    snprintf(path, sizeof(path), "%s/%s%u.%d", TAGPOOL_SEGMENT_DIR, TAGPOOL_SEGMENT_PREFIX, geteuid(), (int)pid);
    return path;
}

START_TEST(the_header_describes_the_tables)
{
    tp_start();
    const struct tagpool_segment_header *header = tp_segment;
    const char *base = (const char *)header;
    ck_assert_uint_eq(header->magic, TAGPOOL_SEGMENT_MAGIC);
    ck_assert_uint_eq(header->version, TAGPOOL_SEGMENT_VERSION);
    ck_assert_uint_eq(header->header_size, sizeof(*header));
    ck_assert_ptr_eq((const char *)tp_segment_control, base + TAGPOOL_SEGMENT_PAGE);
    ck_assert_ptr_eq((const char *)tp_segment_slots, base + header->slots_offset);
    ck_assert_ptr_eq((const char *)tp_segment_tallies, base + header->tallies_offset);
    ck_assert_ptr_eq((const char *)tp_space.rows, base + header->rows_offset);
    ck_assert_uint_eq(header->slot_count, TP_SLOT_COUNT);
    ck_assert_uint_eq(header->tally_count, TP_TALLY_COUNT);
    ck_assert_uint_eq(header->row_count, tp_space.unit_count);
    ck_assert_uint_eq(header->unit_shift, TP_UNIT_SHIFT);
    ck_assert_uint_le(header->slots_offset + TP_SLOT_COUNT * sizeof(struct tagpool_segment_slot),
                      header->tallies_offset);
    ck_assert_uint_le(header->tallies_offset + TP_TALLY_COUNT * sizeof(struct tagpool_segment_tally),
                      header->rows_offset);
    ck_assert_uint_le(header->rows_offset + header->row_count * sizeof(struct tagpool_segment_row), header->file_size);
    for (unsigned table = 0; table < TP_TABLE_COUNT; table++)
        for (unsigned class = 0; class < TP_CLASS_LIMIT; class ++)
            ck_assert_uint_eq(header->class_size[table][class], tp_class_tables[table].size[class]);
}
END_TEST

START_TEST(publication_gives_the_file_its_name)
{
    tp_start();
    ck_assert_int_eq(access(segment_path(getpid()), F_OK), -1);
    tp_start_may_publish();
    struct stat status;
    ck_assert_int_eq(stat(segment_path(getpid()), &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
    ck_assert_uint_eq(status.st_size, tp_segment->file_size);
    ck_assert_uint_eq(tp_segment->pid, getpid());
    ck_assert_uint_eq(tp_segment->uid, geteuid());
    ck_assert_uint_eq(tp_segment->state, TAGPOOL_SEGMENT_RUNNING);
    ck_assert_uint_ne(tp_segment->created_ns, 0);
    ck_assert_str_eq(tp_segment->program, program_invocation_short_name);
    tp_segment_retire();
    ck_assert_int_eq(access(segment_path(getpid()), F_OK), -1);
    ck_assert_uint_eq(tp_segment->state, TAGPOOL_SEGMENT_ENDED);
}
END_TEST

/* Little of a sparse file has memory behind it. */
START_TEST(an_idle_program_s_file_is_small)
{
    tagpool_free(tagpool_alloc(TAGPOOL_PAGED, 100, TAG));
    struct stat status;
    ck_assert_int_eq(stat(segment_path(getpid()), &status), 0);
    ck_assert_uint_le(status.st_blocks * 512, 256 * TP_KIB);
}
END_TEST

START_TEST(a_reader_sees_through_the_name_what_the_program_counts)
{
    tagpool_alloc(TAGPOOL_PAGED, 300000, TAG);
    struct tagpool_segment_header header;
    int fd = open(segment_path(getpid()), O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, &header, sizeof(header), 0), sizeof(header));
    ck_assert_uint_eq(header.nonce, tp_segment->nonce);
    struct tagpool_segment_slot slot;
    off_t at = (off_t)(header.slots_offset + (header.slots_used_total - 1) * sizeof(slot));
    ck_assert_int_eq(pread(fd, &slot, sizeof(slot), at), sizeof(slot));
    close(fd);
    ck_assert_uint_eq(slot.tag, TAG);
    ck_assert_uint_eq(slot.large_allocs_total, 1);
    ck_assert_uint_eq(slot.large_alloc_bytes_total, 303104);
}
END_TEST

/* A file under the name we want, as a process of this number left it. */
static ino_t leave_older_file(void)
{
    struct tagpool_segment_header old = {.pid = (uint32_t)getpid(), .pid_namespace = tp_os_pid_namespace()};
    int fd = open(segment_path(getpid()), O_CREAT | O_RDWR, 0600);
    struct stat status;
    ck_assert_int_eq(write(fd, &old, sizeof(old)), sizeof(old));
    ck_assert_int_eq(fstat(fd, &status), 0);
    close(fd);
    return status.st_ino;
}

START_TEST(the_file_from_before_an_exec_is_replaced)
{
    ino_t inode = leave_older_file();
    tp_start();
    tp_start_may_publish();
    struct stat status;
    ck_assert_int_eq(stat(segment_path(getpid()), &status), 0);
    ck_assert_uint_ne(status.st_ino, inode);
    ck_assert_uint_eq(status.st_size, tp_segment->file_size);
}
END_TEST

START_TEST(a_file_that_is_not_ours_is_left_alone)
{
    char path[64], with_nonce[96];
    snprintf(path, sizeof(path), "%s", segment_path(getpid()));
    tp_start();
    int fd = open(path, O_CREAT | O_RDWR, 0600);
    ck_assert_int_eq(write(fd, "not ours", 8), 8);
    close(fd);
    tp_start_may_publish();
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_size, 8);
    snprintf(with_nonce, sizeof(with_nonce), "%s.%llu", path, (unsigned long long)tp_segment->nonce);
    ck_assert_int_eq(access(with_nonce, F_OK), 0);
    tp_segment_retire();
    ck_assert_int_eq(access(with_nonce, F_OK), -1);
    ck_assert_int_eq(access(path, F_OK), 0);
    unlink(path);
}
END_TEST

START_TEST(only_the_process_that_made_it_retires_it)
{
    tp_start();
    tp_start_may_publish();
    pid_t pid = fork();
    if (pid == 0) {
        tp_segment_retire();
        _exit(0);
    }
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_int_eq(access(segment_path(getpid()), F_OK), 0);
    ck_assert_uint_eq(tp_segment->state, TAGPOOL_SEGMENT_RUNNING);
}
END_TEST

/* A store to a counter must not have the low address bits of a hot word's load. */
START_TEST(hot_words_and_counters_never_alias)
{
    tp_start();
    ck_assert_uint_eq((uintptr_t)tp_space.pages % 128, 0);
    ck_assert_uint_eq((uintptr_t)tp_space.rows % 32, 0);
    for (size_t unit = 0; unit < 64; unit++) {
        const struct tp_page *page = &tp_space.pages[unit];
        const struct tagpool_segment_row *row = tp_page_row(page);
        ck_assert_uint_eq((uintptr_t)&row->allocs_total % 16, 8);
        ck_assert_uint_eq((uintptr_t)&row->frees_total % 16, 8);
        ck_assert_uint_eq((uintptr_t)&page->free % 16, 0);
        ck_assert_uint_eq((uintptr_t)&page->used % 16, 0);
    }
}
END_TEST

/* RLIMIT_FSIZE leaves no room for the file: the accounts are private, and right. */
START_TEST(without_a_file_the_accounts_are_private)
{
    struct rlimit limit = {TP_MIB, TP_MIB};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_ptr_nonnull(tagpool_alloc(TAGPOOL_PAGED, 100, TAG));
    struct tagpool_stats stats;
    ck_assert_int_eq(tagpool_stats(TAGPOOL_PAGED, TAG, &stats), 0);
    ck_assert_uint_eq(stats.allocs, 1);
    ck_assert_int_eq(access(segment_path(getpid()), F_OK), -1);
}
END_TEST

UNIT_MAIN("segment", the_header_describes_the_tables, publication_gives_the_file_its_name,
          an_idle_program_s_file_is_small, a_reader_sees_through_the_name_what_the_program_counts,
          the_file_from_before_an_exec_is_replaced, a_file_that_is_not_ours_is_left_alone,
          only_the_process_that_made_it_retires_it, hot_words_and_counters_never_alias,
          without_a_file_the_accounts_are_private)
