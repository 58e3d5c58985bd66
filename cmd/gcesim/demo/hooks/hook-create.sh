#!/bin/sh
echo "created $NAME in $ZONE"
