#!/bin/sh
# The image's first program. Networks that came with the image are linked into the folder of weights, which lies in the
# volume: versions that were learnt there outlive the image, and the shipped ones are always those of the image.
shipped=$(cd "$(dirname "$0")/../../weights" && pwd)
weights=${ACTOSCOPE_WEIGHTS_DIR:-$shipped}
if [ "$weights" != "$shipped" ] && mkdir -p "$weights"; then
    for folder in "$shipped"/*/; do
        folder=${folder%/}
        link=$weights/${folder##*/}
        # A folder of that name that somebody put there himself stays.
        if [ -L "$link" ] || [ ! -e "$link" ]; then
            ln -sfn "$folder" "$link"
        fi
    done
fi
exec actoscope "$@"
