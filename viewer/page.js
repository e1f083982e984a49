"use strict";
(function () {
	const data = JSON.parse(document.getElementById("data").textContent);
	const style = getComputedStyle(document.body);
	data.points.sort((a, b) => a[0] - b[0]);

	// A block for each turn, as wide as it is high: so long nothing else could run.
	function blocks(e) {
		const floor = e.dygraph.toDomYCoord(0);
		e.drawingContext.fillStyle = e.color;
		for (const p of e.points) {
			if (isNaN(p.yval))
				continue;
			const end = e.dygraph.toDomXCoord(p.xval + p.yval / 1000);
			e.drawingContext.fillRect(p.canvasx, p.canvasy, Math.max(1.5, end - p.canvasx), floor - p.canvasy);
		}
	}

	// Cells as bands with their names, and the height at which a hold is a stall.
	function ground(canvas, area, graph) {
		canvas.font = "11px sans-serif";
		data.cells.forEach(([name, from, to], i) => {
			const x = graph.toDomXCoord(from), width = Math.max(1, graph.toDomXCoord(to) - x);
			canvas.fillStyle = i % 2 ? "rgba(128, 128, 128, 0.10)" : "rgba(128, 128, 128, 0.20)";
			canvas.fillRect(x, area.y, width, area.h);
			canvas.fillStyle = style.getPropertyValue("--dim");
			if (width > canvas.measureText(name).width + 4)
				canvas.fillText(name, x + 3, area.y + 12);
		});
		const y = graph.toDomYCoord(data.stall);
		canvas.strokeStyle = "rgba(200, 40, 40, 0.7)";
		canvas.setLineDash([4, 4]);
		canvas.beginPath();
		canvas.moveTo(area.x, y);
		canvas.lineTo(area.x + area.w, y);
		canvas.stroke();
		canvas.setLineDash([]);
	}

	const highest = Math.max(data.stall, ...data.points.map((p) => Math.max(...p.slice(1))));
	new Dygraph(document.getElementById("timeline"), data.points, {
		labels: data.labels, plotter: blocks, underlayCallback: ground, dateWindow: [0, data.end], valueRange: [0, highest * 1.1],
		xlabel: "s since the recording began", ylabel: "held for, ms", legend: "follow", strokeWidth: 2,
		colors: ["#c0392b", "#2471a3", "#1e8449", "#8e44ad", "#b9770e", "#117a65", "#7b241c", "#5d6d7e"],
		axisLineColor: "#888", gridLineColor: "rgba(128, 128, 128, 0.3)",
	});
})();
