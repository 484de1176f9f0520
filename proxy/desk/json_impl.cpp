// Boost.JSON's own code, compiled once: so the build needs its headers only, which Debian has apart from its library.
#include <boost/json/src.hpp>
