/*
 * Control groups of both versions, as files that the test writes.
 */
#include "unit.h"

#include "cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/cgroup-test-XXXXXX";
static char self[64], mount[64];
static struct tp_cgroup_paths paths;

static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void make(const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void begin(const char *groups)
{
    ck_assert_ptr_nonnull(mkdtemp(root));
    snprintf(self, sizeof(self), "%s/self", root);
    snprintf(mount, sizeof(mount), "%s/mount", root);
    put("self", groups);
    make("mount");
    make("mount/a");
    make("mount/a/b");
    paths = (struct tp_cgroup_paths){self, mount, mount};
}

static void end(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", root);
    ck_assert_int_eq(system(command), 0);
}

static void must_be(uint64_t limit, uint64_t used)
{
    struct tp_cgroup_memory memory = tp_cgroup_read(&paths);
    ck_assert_uint_eq(memory.limit, limit);
    ck_assert_uint_eq(memory.used, used);
}

START_TEST(the_level_with_the_least_room_counts)
{
    begin("0::/a/b\n");
    must_be(UINT64_MAX, 0);
    put("mount/a/b/memory.max", "max\n");
    put("mount/a/memory.max", "1000\n");
    put("mount/a/memory.current", "600\n");
    must_be(1000, 600);
    put("mount/a/b/memory.max", "800\n");
    put("mount/a/b/memory.current", "500\n");
    must_be(800, 500);
    put("mount/a/b/memory.current", "100\n");
    must_be(1000, 600);
    put("mount/memory.max", "10000\n");
    put("mount/memory.current", "11000\n");
    must_be(10000, 11000);
    end();
}
END_TEST

START_TEST(cold_file_pages_are_not_in_use)
{
    begin("0::/a\n");
    put("mount/a/memory.max", "1000\n");
    put("mount/a/memory.current", "900\n");
    put("mount/a/memory.stat", "anon 100\nfile 800\nactive_file 100\ninactive_file 700\nslab 3\n");
    must_be(1000, 200);
    end();
}
END_TEST

/* In a container the path is the host's, and the mount is the group itself. */
START_TEST(a_path_that_is_not_there_leads_to_the_mount)
{
    begin("0::/kubepods/pod1/container\n");
    put("mount/memory.max", "5000\n");
    put("mount/memory.current", "1\n");
    must_be(5000, 1);
    end();
}
END_TEST

START_TEST(version_1_has_other_names)
{
    begin("11:cpu,cpuacct:/x\n4:memory:/a/b\n0::/\n");
    put("mount/memory.limit_in_bytes", "9223372036854771712\n");
    put("mount/a/b/memory.limit_in_bytes", "2000\n");
    put("mount/a/b/memory.usage_in_bytes", "1500\n");
    put("mount/a/b/memory.stat", "inactive_file 9\ntotal_inactive_file 500\n");
    must_be(2000, 1000);
    end();
}
END_TEST

START_TEST(what_cannot_be_read_is_no_limit)
{
    begin("");
    must_be(UINT64_MAX, 0);
    put("self", "1:name=systemd:/a\n");
    must_be(UINT64_MAX, 0);
    paths.self = "/nonexistent/cgroup";
    must_be(UINT64_MAX, 0);
    end();
}
END_TEST

UNIT_MAIN("cgroup", the_level_with_the_least_room_counts, cold_file_pages_are_not_in_use,
          a_path_that_is_not_there_leads_to_the_mount, version_1_has_other_names, what_cannot_be_read_is_no_limit)
