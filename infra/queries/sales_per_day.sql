-- Sales per day and currency: tickets, gross and face value, refunds taken off.
SELECT CAST(substr("date", 1, 10) AS date) AS day,
       currency,
       count(*) AS sales,
       sum(sold) AS tickets,
       sum(grossSales) AS gross,
       sum(grossFace) AS face
FROM see_tickets_sales
GROUP BY 1, 2
ORDER BY day, currency
