#!/bin/sh
echo "deleted $NAME in $ZONE"
