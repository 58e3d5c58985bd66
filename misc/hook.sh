#!/bin/sh
# A hook for every event: prints what happened. prevmtable sets the variables.
echo "$HOOK: ${NAME:-no VM} in $ZONE of $PROJECT"
