// Everything is measured from one mark to the next: callgrind writes its count whenever cbrt() is called, which nothing else does.
var marks = [];
function mark(name) {
  marks.push(name);
  Math.cbrt(0);
}
