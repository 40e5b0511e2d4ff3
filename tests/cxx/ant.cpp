/* The whole interface, seen by a C++ compiler: only compiled. */
#include <ant/ant.h>

const char *ant_cxx_version()
{
    return ant_version();
}
