#!/bin/sh
echo "lost $NAME in $ZONE"
