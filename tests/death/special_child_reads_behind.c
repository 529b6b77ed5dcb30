/*
 * A forked child has guards of its own; the parent ends as it did, and says nothing.
 *
 * expect: BEYOND_END_TOUCHED 0x0000(\w{9}000), 0x0{15}0, 0x0000\w{12}, 0x0{16}\).*pointer 0x\1, tag
 * verify: special=all guard=each
 */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    char *block = malloc(96);
    pid_t child = fork();
    if (child == 0) {
        free(malloc(1));
        return block[96];
    }
    waitpid(child, NULL, 0);
    abort();
}
