/*
 * expect: CALLER_WRONG_FACE 0x0000(\w{12}), 0x0{8}4C4C414D, 0x0{8}2057454E\).*pointer 0x\1, tag mism, page
 * verify: special=all guard=each
 * verify: watch
 * verify: harden
 */
#include <cstdlib>

int main()
{
    int *block = static_cast<int *>(std::malloc(sizeof(int)));
    delete block;
    return 0;
}
