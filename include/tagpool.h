/* The short way in: #include <tagpool.h>. */
#include <tagpool/bundle.h>
#include <tagpool/common_buffer.h>
#include <tagpool/condition.h>
#include <tagpool/iobuf.h>
#include <tagpool/limit.h>
#include <tagpool/lookaside.h>
#include <tagpool/quota.h>
#include <tagpool/scope.h>
#include <tagpool/tagpool.h>
