# What the counters have in common. Each of them builds alone, and includes this.
if(NOT TARGET counter)
  if(NOT TARGET websession::core)
    find_package(websession REQUIRED COMPONENTS memory redis)
  endif()
  add_library(counter STATIC ${CMAKE_CURRENT_LIST_DIR}/counter.cpp)
  target_include_directories(counter PUBLIC ${CMAKE_CURRENT_LIST_DIR})
  target_link_libraries(counter PUBLIC websession::memory websession::redis)
endif()
