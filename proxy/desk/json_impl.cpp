// Boost.JSON's non-template half, compiled once, so that no library of it has to be there.
#include <boost/json/src.hpp>
