#!/bin/sh
echo "no room in $ZONE"
