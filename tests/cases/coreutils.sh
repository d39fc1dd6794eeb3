# placeholder
### echo
echo hello > "$P/f"; cat "$P/f"; ls -l "$P" | wc -l; echo "$P"
