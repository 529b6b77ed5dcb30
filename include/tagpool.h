/* The short way in: #include <tagpool.h>. */
#include <tagpool/tagpool.h>
