/*
 * expect: CALLER_WRONG_FACE 0x0000(\w{12}), 0x0{8}2057454E, 0x0{8}5B57454E\).*pointer 0x\1, tag mism, page
 * verify: special=all guard=each
 * verify: watch
 * verify: harden
 */

int main()
{
    int *block = new int;
    delete[] block;
    return 0;
}
