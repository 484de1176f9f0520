# The files that depend on the prefix, which `cmake --install --prefix` may change after the configuration: under /usr
# they are as they stand here; elsewhere units name that binary, and configuration is in PREFIX/etc, where nothing is
# overwritten.
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(etc /etc)
else()
  set(etc ${CMAKE_INSTALL_PREFIX}/etc)
endif()

foreach(unit pglodge.service pglodge.socket pglodge@.service pglodge@.socket)
  set(to ${CMAKE_INSTALL_PREFIX}/lib/systemd/system)
  file(READ ${packaging}/systemd/${unit} text)
  string(REPLACE "/usr/bin/pglodge" "${CMAKE_INSTALL_PREFIX}/bin/pglodge" text "${text}")
  string(REPLACE "/etc/pglodge" "${etc}/pglodge" text "${text}")
  message(STATUS "Installing: $ENV{DESTDIR}${to}/${unit}")
  file(WRITE "$ENV{DESTDIR}${to}/${unit}" "${text}")
endforeach()

foreach(file pglodge.yaml routes.yaml)
  if(NOT EXISTS "$ENV{DESTDIR}${etc}/pglodge/${file}")
    file(INSTALL DESTINATION ${etc}/pglodge TYPE FILE FILES ${packaging}/etc/${file})
  endif()
endforeach()
