mkdir -p out
cp source.js out/index.js
