#!/bin/sh
sleep 1
echo "drained $NAME in $ZONE"
