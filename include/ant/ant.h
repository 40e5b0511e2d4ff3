/* The whole interface of libant. docs/ has the design; docs/paper-to-api.md maps the paper to these calls. */
#ifndef ANT_ANT_H
#define ANT_ANT_H

#include <ant/base.h>
#include <ant/bound.h>
#include <ant/core.h>
#include <ant/costs.h>
#include <ant/event.h>
#include <ant/heap.h>
#include <ant/ica.h>
#include <ant/load.h>
#include <ant/monitor.h>
#include <ant/process.h>
#include <ant/request.h>
#include <ant/server.h>
#include <ant/swap.h>
#include <ant/thread.h>
#include <ant/trace.h>

#endif
